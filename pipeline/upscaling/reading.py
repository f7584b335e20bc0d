"""Files and pipes read as pictures, no more of them than a picture may have."""

import io
import os
import stat
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import MachineFaultError, PipelineError
from pipeline.images.decode import ImageRefused
from pipeline.images.folders import path_text
from pipeline.images.recognition import HEAD_BYTES, may_be_picture, unread_text
from pipeline.machine_errors import fault_text, is_machine_fault
from pipeline.upscaling.pictures import MAX_PIXELS, Picture, decode_picture
from pipeline.upscaling.plan import PIPE

MAX_FILE_BYTES = 8 * MAX_PIXELS + 200_000_000
"""RGBA of 16 bits without compression, and metadata"""
_BLOCK_BYTES = 2**20


@dataclass(frozen=True)
class ReadFile:
    """A picture, and what its file says beside."""

    picture: Picture
    times_ns: tuple[int, int] | None
    """of the last access and change; None: no file"""


def is_stream(path: Path) -> bool:
    """Return whether `path` is a pipe or the like, whose end is not known."""
    try:
        return path == PIPE or not stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def read_picture(path: Path) -> ReadFile:
    """Decode a file, or standard input. Raises `PipelineError` that names the file."""
    content = io.BytesIO()
    try:
        with _opened(path) as file:
            status = None if path == PIPE else os.fstat(file.fileno())
            _read(file, content)
        data = content.getvalue()
        times_ns = None if status is None else (status.st_atime_ns, status.st_mtime_ns)
        return ReadFile(decode_picture(data), times_ns)
    except ImageRefused as refusal:
        text = refusal_text(refusal, path.suffix, content.getvalue()[:HEAD_BYTES])
        raise PipelineError(f"{path_text(path)}: {text}") from None
    except Exception as error:
        if not is_machine_fault(error):
            raise
        raise MachineFaultError(f"{path_text(path)}: {fault_text(error)}") from None


def refusal_text(refusal: ImageRefused, suffix: str, head: bytes) -> str:
    """Return why a file is refused, by the kind that suffix and first bytes show, if any."""
    if refusal.reason == "not_an_image" and (unread := unread_text(suffix, head)):
        return unread
    return refusal.text


def _opened(path: Path) -> AbstractContextManager[BinaryIO]:
    return nullcontext(sys.stdin.buffer) if path == PIPE else path.open("rb")


def _read(file: BinaryIO, content: io.BytesIO) -> None:
    """Read `file` into `content`. Raises `ImageRefused` as soon as it can be no picture."""
    head = file.read(HEAD_BYTES)
    content.write(head)
    if head and not may_be_picture(head):
        raise ImageRefused("not_an_image", "no image of a known format")
    while block := file.read(_BLOCK_BYTES):
        content.write(block)
        if content.tell() > MAX_FILE_BYTES:
            raise ImageRefused(
                "too_many_bytes",
                f"has more than {MAX_FILE_BYTES // 10**6} MB, which no picture needs that is small "
                "enough to be enlarged",
            )
