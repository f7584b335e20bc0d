"""Standard streams whose errors are no tracebacks and end no work."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from pipeline.errors import PipelineError, ReaderEndedError

READER_ENDED = 141
"""Exit code where nobody reads standard output any more, as of a program that SIGPIPE ends."""


def prepare_streams() -> None:
    """Let the standard streams accept any text, closed descriptors and readers that end."""
    _fill_closed_descriptors()
    sys.stdin = sys.stdin or _null_device("r")
    sys.stdout = _wrapped(sys.stdout, _Output) if sys.stdout else _ClosedOutput()
    sys.stderr = _wrapped(sys.stderr, _Messages) if sys.stderr else _null_device("w")


def finish_output() -> None:
    """Write what is still buffered for standard output.

    Raises `ReaderEndedError` or `PipelineError` where what was printed is lost.
    """
    try:
        sys.stdout.flush()
    except (ReaderEndedError, PipelineError):
        # The interpreter would try again as it exits, and print a traceback.
        with _null_device("w") as null:
            os.dup2(null.fileno(), sys.stdout.fileno())
        raise
    if isinstance(sys.stdout, _ClosedOutput) and sys.stdout.lost:
        raise PipelineError(
            "standard output: is closed, so what was printed there is lost; send it to a file, or "
            "to /dev/null"
        )


class _Output(io.TextIOWrapper):
    """Standard output whose errors, as on a full disk, are `PipelineError`.

    Raises `ReaderEndedError` where nobody reads it any more.
    """

    def write(self, text: str) -> int:
        with _named_errors():
            return super().write(text)

    def flush(self) -> None:
        with _named_errors():
            super().flush()


class _ClosedOutput(io.TextIOWrapper):
    """In place of a closed standard output: ends no work, and knows whether anything was `lost`."""

    def __init__(self) -> None:
        null = Path(os.devnull).open("wb")  # noqa: SIM115 - open as long as this
        super().__init__(null, "utf-8", "backslashreplace")
        self.lost = False

    def write(self, text: str) -> int:
        self.lost = self.lost or bool(text)
        return len(text)


class _Messages(io.TextIOWrapper):
    """Standard error that ignores errors: a closed terminal or pipe must not end the work."""

    def write(self, text: str) -> int:
        with suppress(OSError):
            return super().write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            super().flush()


def _fill_closed_descriptors() -> None:
    """Open closed standard descriptors, so that no later file gets one of them."""
    descriptor = os.open(os.devnull, os.O_RDWR)
    while descriptor <= 2:
        descriptor = os.open(os.devnull, os.O_RDWR)
    os.close(descriptor)


@contextmanager
def _named_errors() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise ReaderEndedError from None
    except OSError as error:
        raise PipelineError(f"standard output: {error.strerror}") from None


def _wrapped(stream: TextIO, kind: type[io.TextIOWrapper]) -> TextIO:
    """Return `stream` as a `kind`."""
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    return kind(
        stream.buffer,
        encoding=stream.encoding,
        # A file name need not be text in any encoding; printing it must not end the work.
        errors="backslashreplace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _null_device(mode: str) -> TextIO:
    file = open(os.devnull, mode, encoding="utf-8")  # noqa: SIM115, PTH123
    assert isinstance(file, io.TextIOWrapper)
    return file
