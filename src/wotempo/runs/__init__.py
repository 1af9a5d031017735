"""The folder of a run: who may use it, what identifies it, how it is continued."""
