"""LightningModule, losses, optimiser, metrics."""
