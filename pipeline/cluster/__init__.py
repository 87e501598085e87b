"""The same work on many machines, or on the cores of one, by Dask: tasks, and whether those who are to do them can."""
