"""Frame cache, windows and batches."""
