"""Distinguish faults of the machine from damaged files.

The distinction decides which files count as damaged, so this module is part of fingerprints.
"""

import errno
import re

OUT_OF_MEMORY = re.compile(
    r"[^.:\]]*(?:out of memory|allocate memory|insufficient memory)[^.]*", re.IGNORECASE
)
"""Messages of Pillow, libjpeg, PyTorch and the system where memory is short, up to a full stop."""


def is_memory_fault(error: BaseException) -> bool:
    """Return whether memory was short.

    Pillow has an `OSError` without a number for it, PyTorch a plain `RuntimeError`.
    """
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno == errno.ENOMEM
    return isinstance(error, MemoryError) or (
        isinstance(error, OSError | RuntimeError) and OUT_OF_MEMORY.search(str(error)) is not None
    )


def is_machine_fault(error: BaseException) -> bool:
    """Return whether memory, a disk or the system failed, rather than the bytes that were read.

    Decoders raise `OSError` for damaged bytes too, but without an error number.
    """
    return is_memory_fault(error) or (isinstance(error, OSError) and error.errno is not None)


def fault_text(error: BaseException) -> str:
    """Describe a fault of the machine in words."""
    if is_memory_fault(error):
        return "not enough memory"
    return str(getattr(error, "strerror", None) or error)
