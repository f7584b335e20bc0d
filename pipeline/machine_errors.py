"""Distinguish errors of the machine (memory, disk) from errors in the data.

Where the machine fails, a file is not damaged; so this module is part of fingerprints.
"""

import errno
import re

OUT_OF_MEMORY = re.compile(
    r"[^.:\]]*(?:out of memory|allocate memory|insufficient memory"
    r"|could not create a (?:primitive|memory object)$)[^.]*",
    re.IGNORECASE,
)
"""Messages of Pillow, libjpeg, PyTorch, oneDNN and the system about lack of memory, one sentence
each."""


def is_memory_fault(error: BaseException) -> bool:
    """Return whether `error` is a lack of memory.

    Pillow raises an `OSError` without a number for it, PyTorch a `RuntimeError`.
    """
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno == errno.ENOMEM
    return isinstance(error, MemoryError) or (
        isinstance(error, OSError | RuntimeError) and OUT_OF_MEMORY.search(str(error)) is not None
    )


def is_machine_fault(error: BaseException) -> bool:
    """Return whether memory, a disk or the system failed, rather than the decoding of the data.

    Decoders raise `OSError` for damaged data too, but without an error number.
    """
    return is_memory_fault(error) or (isinstance(error, OSError) and error.errno is not None)


def fault_text(error: BaseException) -> str:
    """Return a short description of a machine fault, for a message."""
    if is_memory_fault(error):
        return "not enough memory"
    return str(getattr(error, "strerror", None) or error)
