"""Reading checkpoints, and building from them what wrote them."""
