"""Errors as one line that a user can act on: the program's own, and faults of the machine."""

import errno
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pipeline.machine_errors import OUT_OF_MEMORY, is_memory_fault

_FREE_SPACE = "free space on its disk, then run the same command again"
_CHECK_DISK = "check the disk, then run the same command again"
_MEMORY = (
    "close other programs, or lower what is held at once (train.batch, resize.workers, "
    "upscale --tile); then run the same command again"
)
_ADVICE = {
    errno.ENOSPC: _FREE_SPACE,
    errno.EDQUOT: _FREE_SPACE,
    errno.EFBIG: "use a file system, or a limit (ulimit -f), that allows larger files",
    errno.EIO: _CHECK_DISK,
    errno.EROFS: "make it writable, then run the same command again",
    errno.EACCES: "change its permissions, then run the same command again",
    errno.EPERM: "change its permissions, then run the same command again",
    errno.EMFILE: "raise the limit of open files (ulimit -n), then run the same command again",
    errno.ENFILE: "close other programs, then run the same command again",
    errno.ENOMEM: _MEMORY,
    errno.EPIPE: "what read this program's output has ended",
}
# Parts of SQLite's messages where the database itself is intact.
_DATABASE_FAULTS = ("disk is full", "disk I/O error", "unable to open", "readonly", "locked")

_MAX_NAMES = 10


class PipelineError(Exception):
    """A command failed: the message names the file, key or URL, the fault and what to do."""

    exit_code = 1


class MachineFaultError(PipelineError):
    """Memory, a disk or a permission was missing: the same may succeed later."""


class UsageError(PipelineError):
    """Params, options or arguments are wrong; nothing was started."""

    exit_code = 2


class ArgumentError(UsageError):
    """The argument `name` of a function has a wrong value; commands name the option instead."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(name, problem)
        self.name = name
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.name}: {self.problem}"


class ReaderEndedError(Exception):
    """What read standard output has ended, as `head` does: nothing to report, but the work ends."""


class Interrupted(PipelineError):  # noqa: N818 - not an error
    """The user ended a command, for which the usual advice, to go on by running it, is wrong."""

    exit_code = 130


@contextmanager
def naming_memory_faults(work: str, advice: str) -> Iterator[None]:
    """Raise `PipelineError` with `work`, what the block does, where memory runs out in it."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_memory_fault(error):
            raise
        raise PipelineError(f"{work}: memory ran out; {advice}") from None


def fault_line(error: BaseException) -> str | None:
    """Describe a fault of the machine in one line that says what to do; None for another error."""
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.errno is not None:
        return _file_fault(error)
    if isinstance(error, MemoryError):
        return f"memory: {text or 'not enough of it'}; {_MEMORY}"
    if is_memory_fault(error) and (match := OUT_OF_MEMORY.search(text)):
        return f"memory: {match[0].strip()}; {_MEMORY}"
    if isinstance(error, ImportError) and "failed to map segment" in text:
        # Of the system's loader, as a library of PyTorch's size is loaded.
        return f"memory: {text}; {_MEMORY}"
    if isinstance(error, RuntimeError) and text.startswith("Symlink loop"):
        # Of pathlib, in place of an OSError.
        return f"{text}; remove that link"
    if isinstance(error, sqlite3.OperationalError) and any(p in text for p in _DATABASE_FAULTS):
        return f"database: {text}; {_FREE_SPACE if 'full' in text else _CHECK_DISK}"
    return None


def _file_fault(error: OSError) -> str:
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    named = f"{' -> '.join(names)}: " if names else ""
    advice = _ADVICE.get(error.errno or 0)
    return f"{named}{error.strerror}" + (f"; {advice}" if advice else "")


def some_of(names: Sequence[str], most: int = _MAX_NAMES, separator: str = ", ") -> str:
    """Return the first of `names`, as many as fit in a message, and the number of the others."""
    more = len(names) - most
    return separator.join(names[:most]) + (f" and {more} more" if more > 0 else "")
