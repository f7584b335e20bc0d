"""Standard streams: what cannot be printed is no traceback, and ends no work."""

import io
import os
import sys
from contextlib import suppress
from typing import TextIO


def prepare_streams() -> None:
    """Make the standard streams fit for any text and for any end of whoever reads them."""
    _fill_closed_descriptors()
    sys.stdin = sys.stdin or _nowhere("r")
    sys.stdout = sys.stdout or _nowhere("w")
    sys.stderr = sys.stderr or _nowhere("w")
    # A file name need not be text in any encoding; printing it must not end the work.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr = _Messages(
            sys.stderr.buffer,
            encoding=sys.stderr.encoding,
            errors="backslashreplace",
            line_buffering=True,
        )


def flush_output() -> str | None:
    """Write what is still buffered for standard output; return why that failed.

    An empty reason means that its reader has left, as `head` does.
    """
    try:
        sys.stdout.flush()
    except OSError as error:
        # The interpreter would try again as it exits, and print a traceback.
        sys.stdout = _nowhere("w")
        return "" if isinstance(error, BrokenPipeError) else f"standard output: {error.strerror}"
    return None


class _Messages(io.TextIOWrapper):
    """Standard error whose terminal or pipe may be gone: messages must not end the work."""

    def write(self, text: str) -> int:
        with suppress(OSError):
            return super().write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            super().flush()


def _fill_closed_descriptors() -> None:
    """Keep files that are opened later out of the place of a stream that was closed."""
    descriptor = os.open(os.devnull, os.O_RDWR)
    while descriptor <= 2:
        descriptor = os.open(os.devnull, os.O_RDWR)
    os.close(descriptor)


def _nowhere(mode: str) -> TextIO:
    file = open(os.devnull, mode, encoding="utf-8")  # noqa: SIM115, PTH123
    assert isinstance(file, io.TextIOWrapper)
    return file
