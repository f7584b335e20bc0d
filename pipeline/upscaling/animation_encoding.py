"""Animations encoded frame by frame: APNG, GIF and WebP, each frame as its turn comes.

Pillow's own writers of APNG and GIF hold all frames. Here it encodes single ones, whose blocks are
joined. Of a frame, what differs from the one before is written.
"""

import io
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
import png
from numpy.typing import NDArray
from PIL import Image

from pipeline.errors import PipelineError
from pipeline.images.gif_blocks import GRAPHIC_CONTROL, IMAGE, TRAILER, gif_blocks
from pipeline.machine_errors import is_memory_fault

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MAX_FIELD = 65_535
_NO_CONTROL = GRAPHIC_CONTROL + b"\4\0\0\0\0\0"

Frame = NDArray[np.uint8]
"""`(h, w, c)`"""


@dataclass(frozen=True)
class Animation:
    """What is encoded: frames of one size and depth, times, and `save`'s options for the file."""

    frames: Sequence[Frame]
    durations_ms: Sequence[int]
    plays: int
    """0: for ever"""
    options: Mapping[str, Any]


def to_image(pixels: Frame) -> Image.Image:
    """Return a frame as an image: L, LA, RGB or RGBA."""
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def encode_apng(animation: Animation) -> Iterator[bytes]:
    """Yield the parts of an APNG (PNG specification, 3rd edition)."""
    numbers, rest = count(), {"format": "PNG"}
    for index, (left, top, part) in enumerate(_changed_parts(animation.frames)):
        image = to_image(part)
        data = saved(image, **(rest if index else animation.options))
        chunks = list(png.Reader(bytes=data).chunks())
        pixels = b"".join(content for kind, content in chunks if kind == b"IDAT")
        if index == 0:
            position = [kind for kind, _ in chunks].index(b"IDAT")
            yield PNG_SIGNATURE + b"".join(png_chunk(*chunk) for chunk in chunks[:position])
            yield png_chunk(b"acTL", struct.pack(">II", len(animation.frames), animation.plays))
        extent = (*image.size, left, top, *_delay(animation.durations_ms[index]))
        # The frame stays, and the next one replaces what it covers.
        yield png_chunk(b"fcTL", struct.pack(">5IHH2x", next(numbers), *extent))
        if index == 0:
            yield png_chunk(b"IDAT", pixels)
        else:
            yield png_chunk(b"fdAT", struct.pack(">I", next(numbers)) + pixels)
    yield png_chunk(b"IEND", b"")


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """Return a chunk of a PNG with its length and checksum."""
    checksum = zlib.crc32(content, zlib.crc32(kind))
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def _delay(duration_ms: int) -> tuple[int, int]:
    """Return a duration as a fraction of seconds, in fields of 16 bits."""
    if duration_ms <= _MAX_FIELD:
        return duration_ms, 1000
    return duration_ms // 10, 100


def _changed_parts(frames: Iterable[Frame]) -> Iterator[tuple[int, int, Frame]]:
    """Yield left, top and pixels of what differs from the frame before; of equal ones a pixel."""
    previous: Frame | None = None
    for frame in frames:
        if previous is None:
            yield 0, 0, frame
        else:
            rows, columns = _bounds(frame, previous)
            yield columns.start, rows.start, np.ascontiguousarray(frame[rows, columns])
        previous = frame


def _bounds(frame: Frame, other: Frame) -> tuple[slice, slice]:
    """Return the rows and columns that hold all differences, at least one of each."""
    differs = np.zeros(frame.shape[:2], bool)
    for channel in range(frame.shape[2]):
        differs |= frame[..., channel] != other[..., channel]
    rows, columns = (np.flatnonzero(differs.any(axis)) for axis in (1, 0))
    if not rows.size:
        return slice(0, 1), slice(0, 1)
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def encode_gif(animation: Animation) -> Iterator[bytes]:
    """Yield the parts of a GIF. Each frame is encoded after the one before, as Pillow does it."""
    previous: Image.Image | None = None
    block, further = b"", dict(animation.options)
    further.pop("comment", None)
    durations_ms = _whole_hundredths(animation.durations_ms)
    for frame, duration_ms in zip(animation.frames, durations_ms, strict=True):
        image = to_image(frame)
        if image.mode == "RGB":
            # As Pillow would in each of two calls.
            image = image.convert("P", palette=Image.Palette.ADAPTIVE)
        if previous is None:
            data = saved(image, interlace=0, duration=duration_ms, **animation.options)
            start, end = _gif_frames(data)[0]
            yield data[:start]
        else:
            pair = {"save_all": True, "append_images": [image], "duration": duration_ms}
            data = saved(previous, **further, **pair)
            spans = _gif_frames(data)
            # Of equal frames Pillow writes one; the block before shows the same again.
            start, end = spans[1] if len(spans) > 1 else (0, 0)
        block = data[start:end] or block
        yield _with_duration(block, duration_ms)
        previous = image
    yield TRAILER


def _whole_hundredths(durations_ms: Iterable[int]) -> Iterator[int]:
    """Yield durations in hundredths of a second, the unit of GIF, with the same sum."""
    exact = end = 0
    for duration_ms in durations_ms:
        exact += duration_ms
        start, end = end, (exact + 5) // 10 * 10
        yield end - start


def _gif_frames(data: bytes) -> list[tuple[int, int]]:
    """Return start and end of each image with its extension."""
    spans, start = list[tuple[int, int]](), None
    for kind, first, end in gif_blocks(data):
        if kind == GRAPHIC_CONTROL:
            start = first
        elif kind == IMAGE:
            spans.append((first if start is None else start, end))
            start = None
    return spans


def _with_duration(block: bytes, duration_ms: int) -> bytes:
    """Return an image of a GIF shown for so long; the field has hundredths of a second."""
    control = block[: len(_NO_CONTROL)] if block.startswith(GRAPHIC_CONTROL) else _NO_CONTROL
    rest = block.removeprefix(control)
    return control[:4] + struct.pack("<H", duration_ms // 10) + control[6:] + rest


def encode_webp(animation: Animation) -> Iterator[bytes]:
    """Yield a WebP. Its encoder takes frames one by one, and holds what it made of them."""
    times = {"duration": list(animation.durations_ms), "loop": animation.plays}
    yield saved(_Steps(animation.frames), save_all=True, **animation.options, **times)


class _Steps(Image.Image):
    """Frames, through which Pillow steps as through those of a file."""

    def __init__(self, frames: Sequence[Frame]) -> None:
        super().__init__()
        self.n_frames = len(frames)
        self._frames, self._index = iter(frames), -1
        self.seek(0)

    def seek(self, frame: int) -> None:
        while self._index < frame:
            image = to_image(next(self._frames))
            self._mode, self._size, self.im = image.mode, image.size, image.im
            self._index += 1

    def tell(self) -> int:
        return self._index


def saved(image: Image.Image, **options: Any) -> bytes:
    """Return an image as a file. Raises `PipelineError` where the format cannot hold it."""
    buffer = io.BytesIO()
    try:
        image.save(buffer, **options)
    except (OSError, ValueError, OverflowError, RuntimeError, struct.error) as error:
        if is_memory_fault(error):
            raise
        reason = " ".join(str(error).split())
        format = str(options["format"]).lower()
        raise PipelineError(f"{format} cannot hold this picture: {reason}") from None
    return buffer.getvalue()
