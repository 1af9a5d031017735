"""Pictures of scenes and of their history."""
