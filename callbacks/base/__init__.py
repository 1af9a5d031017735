"""What every criterion is built on: its base class, the protocol of batch and module, sums, plain data."""
