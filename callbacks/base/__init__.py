"""What every criterion is built on: the verdict of one, the look into a run, plain data."""
