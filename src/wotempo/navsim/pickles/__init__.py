"""What the pickle of a log may ask for and leave."""
