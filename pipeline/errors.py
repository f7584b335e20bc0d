"""The errors that the library raises on purpose: one line each, that a user can act on."""

from collections.abc import Sequence

_MOST_NAMED = 10


class PipelineError(Exception):
    """A stage cannot go on: the message names the file, key or URL, the fault and what to do."""

    exit_code = 1


class UsageError(PipelineError):
    """The user's params, options or arguments are wrong: nothing was started."""

    exit_code = 2


def is_machine_fault(error: BaseException) -> bool:
    """Whether memory, a disk or the system failed, rather than the bytes that were read.

    Decoders raise `OSError` for damaged bytes too, but without an error number.
    """
    return isinstance(error, MemoryError) or (
        isinstance(error, OSError) and error.errno is not None
    )


def fault_text(error: BaseException) -> str:
    """What a machine's fault is, in words."""
    if isinstance(error, MemoryError):
        return "not enough memory"
    return str(getattr(error, "strerror", None) or error)


def some_of(names: Sequence[str]) -> str:
    """The first of `names`, as many as fit in a message, and how many more there are."""
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
