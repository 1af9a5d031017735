"""Loggers of a run: CSV and wandb."""
