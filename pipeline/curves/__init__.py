"""Every method is fitted to more and more of the labelled images, from several seeds, and measured on the same test."""
