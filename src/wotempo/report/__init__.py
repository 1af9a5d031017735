"""Tables and pictures from files that runs wrote."""
