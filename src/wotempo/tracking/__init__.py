"""Where the numbers of a run go beside its folder: CSV and wandb."""
