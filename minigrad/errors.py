"""The error of bad input: one line that names the argument and what was expected."""

__all__ = ["InputError"]


class InputError(ValueError):
    """An argument, file or option is not what was expected; the command line prints it as one line, status 2."""
