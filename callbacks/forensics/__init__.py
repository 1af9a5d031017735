"""The evidence of a failure, its likeliest cause, and doing the step again."""
