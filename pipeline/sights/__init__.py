"""What fitted models see, as pictures."""
