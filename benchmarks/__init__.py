"""Our kernels and whole runs against their peers, measured in the same run."""
