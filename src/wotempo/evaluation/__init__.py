"""Evaluation of checkpoints and baselines: plans for the scenes of a split, their scores, their pictures."""
