"""The one error that a user can mend."""


class UserError(Exception):
    """Bad input: one clear sentence that names what is wrong and how to mend it. Commands print it and exit 2."""

    exit_code = 2
