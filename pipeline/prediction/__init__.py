"""Fitted models look at new photographs: find the files, read them, score them, write the guesses."""
