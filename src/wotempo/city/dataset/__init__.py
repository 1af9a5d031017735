"""A town as a dataset: which logs it has, their frames, and all of it on disk."""
