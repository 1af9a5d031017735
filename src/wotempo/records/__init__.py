"""The files in folders of runs: how they are found, read whole or refused by name, and sealed."""
