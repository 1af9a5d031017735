"""WoTE."""
