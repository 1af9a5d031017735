"""What every command does around its work: arguments, one sentence for the user's errors, an exit code."""
