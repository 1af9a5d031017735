"""The base of every criterion: its class, the protocol of batch and module, sums, plain data."""
