"""Who drives and walks in a town, and how."""
