"""The report's charts, a file each."""
