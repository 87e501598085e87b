"""Every method is fitted once a fold, on all images outside it, and scores the images inside it."""
