"""The LightningModule of a planner, its optimiser, its checkpoints, its logged metrics."""
