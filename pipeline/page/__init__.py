"""A page on this machine alone, on which all fitted models look at a photograph side by side."""
