"""Driving frame by frame: one frame in, one trajectory out, at the cost of one frame."""
