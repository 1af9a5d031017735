"""Labels for training: every anchor simulated and scored at every scene."""
