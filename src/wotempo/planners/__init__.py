"""Planners: from the batch of a data module to a trajectory."""
