"""Rerun the turning point of computer vision, honestly, on anyone's images."""
