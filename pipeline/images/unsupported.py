"""The error for files that are whole, and that this program cannot use."""


class UnsupportedImageError(Exception):
    """A whole file of a kind that is not read; the message says which."""
