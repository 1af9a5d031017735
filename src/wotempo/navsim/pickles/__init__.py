"""The limits of what a pickle may ask for and of what it may leave."""
