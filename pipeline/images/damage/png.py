"""Damage of PNG files: decoders leave rows empty that valid data do not hold."""

import struct
import zlib
from collections.abc import Iterator

from PIL import Image

from pipeline.images.png_chunks import png_chunks, png_header

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_PASSES = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
"""First column and row of each pass, and the steps to the next"""
# Inflated to a thousand times as many at most.
_BLOCK_BYTES = 2**14


def png_damage(image: Image.Image, data: bytes) -> str | None:
    """Describe rows that are missing in a still decoded from `data`; None where none are.

    Data are inflated of those alone that have an empty row at a border: `image` may be turned.
    """
    if not any(_is_empty(image.crop(line)) for line in _border_lines(*image.size)):
        return None
    whole = _bytes_of_rows(data)
    held = _inflated_bytes(data, whole)
    return f"its data end after {held} of {whole} bytes of pixels" if held < whole else None


def _border_lines(width: int, height: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield the outermost two rows and columns of each side: the last pass has each other one."""
    for y in {0, min(1, height - 1), max(height - 2, 0), height - 1}:
        yield 0, y, width, y + 1
    for x in {0, min(1, width - 1), max(width - 2, 0), width - 1}:
        yield x, 0, x + 1, height


def _is_empty(line: Image.Image) -> bool:
    return line.getbbox(alpha_only=False) is None


def _bytes_of_rows(data: bytes) -> int:
    width, height, depth, colour_type, interlaced = struct.unpack_from(">IIBB2xB", png_header(data))
    # Pillow skips a header of an unknown type where it finds another.
    bits, total = depth * _CHANNELS.get(colour_type, 0), 0
    for left, top, across, down in _PASSES if interlaced else ((0, 0, 1, 1),):
        columns, rows = max(-(-(width - left) // across), 0), max(-(-(height - top) // down), 0)
        # Each row begins with a byte for its filter.
        total += rows * (1 + -(-columns * bits // 8)) if columns else 0
    return total


def _inflated_bytes(data: bytes, most: int) -> int:
    """Return how many bytes of pixels the file has, at least `most` where it has more."""
    stream, count, view = zlib.decompressobj(), 0, memoryview(data)
    for kind, start, end in png_chunks(data):
        for first in range(start, end, _BLOCK_BYTES) if kind == b"IDAT" else ():
            if count >= most or stream.eof:
                return count
            try:
                count += len(stream.decompress(view[first : min(first + _BLOCK_BYTES, end)]))
            except zlib.error:  # Pillow raises it, too, unless all rows come before
                return most
    return count
