"""The command line: the table of commands, their arguments and help, one sentence for the user's errors, exit codes."""
