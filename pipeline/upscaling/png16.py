"""PNG files with 16 bits a channel, of which Pillow would drop 8."""

import math
import zlib
from collections.abc import Iterator

import numpy as np
import png
from numpy.typing import NDArray

from pipeline.images.decode import ImageRefused

WHITE = 65_535
# zlib copies what it has not inflated yet, once a row.
PIECE = 1 << 16


def read_deep_png(data: bytes, size: tuple[int, int]) -> NDArray[np.uint16]:
    """Read a PNG of 16 bits as `(h, w, c)`, with alpha where it names a transparent colour.

    No more is inflated than a picture of that size, width and height, has: what follows is ignored,
    as Pillow does. pypng's own way inflates it all, however small the picture. Raises
    `ImageRefused`, or whatever pypng and zlib do, where the file is damaged.
    """
    reader = png.Reader(bytes=data)
    reader.preamble()
    if (reader.width, reader.height) != size or reader.bitdepth != 16:
        raise ImageRefused("damaged", "it has two headers that differ")
    pieces = _compressed(reader)
    pixels = _unfiltered(reader, _Inflated(pieces))
    for _ in pieces:
        pass  # the checksums of all that follows
    if reader.trns:
        opaque = (pixels != np.array(reader.transparent, np.uint16)).any(2, keepdims=True)
        pixels = np.concatenate([pixels, opaque * np.uint16(WHITE)], axis=2)
    return _significant(pixels, reader.sbit) if reader.sbit else pixels


def _compressed(reader: png.Reader) -> Iterator[bytes]:
    """The image data as it is in the file, in pieces. Checks every chunk to the end of the file."""
    for kind, content in reader.chunks():
        if kind == b"IDAT":
            for start in range(0, len(content), PIECE):
                yield content[start : start + PIECE]


class _Inflated:
    """Image data that is inflated as far as it is read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._stream, self._piece = pieces, zlib.decompressobj(), b""

    def read(self, count: int) -> bytearray:
        """Inflate the next `count` bytes. Raises `ImageRefused` where there are fewer."""
        found = bytearray()
        while len(found) < count:
            if not self._piece:
                self._piece = next(self._pieces, b"")
            more = self._stream.decompress(self._piece, count - len(found))
            if not more and (self._stream.eof or not self._piece):
                raise ImageRefused("damaged", "its image data ends too early")
            self._piece = self._stream.unconsumed_tail
            found += more
        return found


def _unfiltered(reader: png.Reader, inflated: _Inflated) -> NDArray[np.uint16]:
    width, height, channels = reader.width, reader.height, reader.planes
    straight = [((0, row, 1) for row in range(height))]
    pixels = np.empty((height, width, channels), np.uint16)
    for rows in png.adam7_generate(width, height) if reader.interlace else straight:
        previous = None
        for left, row, step in rows:
            length = math.ceil((width - left) / step) * channels * 2
            (kind,) = inflated.read(1)
            previous = reader.undo_filter(kind, inflated.read(length), previous)
            pixels[row, left::step] = np.frombuffer(previous, ">u2").reshape(-1, channels)
    return pixels


def _significant(pixels: NDArray[np.uint16], bits: bytes) -> NDArray[np.uint16]:
    """Values of which only the first bits count, as all of 16."""
    count = max(bits)
    if not 1 <= min(bits) <= count <= 16:
        raise ImageRefused("damaged", f"{count} of its 16 bits are said to be significant")
    values = np.arange(WHITE + 1) >> (16 - count)
    table = (values * (WHITE / (2**count - 1))).round().astype(np.uint16)
    levels: NDArray[np.uint16] = table[pixels]
    return levels
