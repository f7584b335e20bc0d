"""PNG files with 16 bits per channel, which Pillow reduces to 8 in colour."""

import math
import zlib
from collections.abc import Iterator

import numpy as np
import png
from numpy.typing import NDArray

from pipeline.images.decode import ImageRefused

WHITE = 65_535
# zlib copies its unconsumed input once per row: small chunks keep that cheap.
CHUNK_BYTES = 1 << 16


def read_png16(data: bytes, size: tuple[int, int]) -> NDArray[np.uint16]:
    """Read a PNG of 16 bits as `(h, w, c)`, with alpha where it names a transparent colour.

    Inflate no more than a picture of that `size`, width and height, has, and ignore what follows,
    as Pillow does; pypng itself inflates everything, however small the picture. Raises
    `ImageRefused`, or an error of pypng or zlib, where the file is damaged.
    """
    reader = png.Reader(bytes=data)
    reader.preamble()
    if (reader.width, reader.height) != size or reader.bitdepth != 16:
        raise ImageRefused("damaged", "it has two headers that differ")
    chunks = _compressed_chunks(reader)
    pixels = _read_pixels(reader, _Inflater(chunks))
    for _ in chunks:
        pass  # reading checks the checksums of what follows
    if reader.trns:
        opaque = (pixels != np.array(reader.transparent, np.uint16)).any(2, keepdims=True)
        pixels = np.concatenate([pixels, opaque * np.uint16(WHITE)], axis=2)
    return _scale_significant_bits(pixels, reader.sbit) if reader.sbit else pixels


def _compressed_chunks(reader: png.Reader) -> Iterator[bytes]:
    """Yield the image data as in the file, and check all checksums to the end of the file."""
    for kind, content in reader.chunks():
        if kind == b"IDAT":
            for start in range(0, len(content), CHUNK_BYTES):
                yield content[start : start + CHUNK_BYTES]


class _Inflater:
    """Inflates image data only as far as it is read."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._stream, self._input = chunks, zlib.decompressobj(), b""

    def read(self, count: int) -> bytearray:
        """Inflate the next `count` bytes. Raises `ImageRefused` where there are fewer."""
        inflated = bytearray()
        while len(inflated) < count:
            if not self._input:
                self._input = next(self._chunks, b"")
            more = self._stream.decompress(self._input, count - len(inflated))
            if not more and (self._stream.eof or not self._input):
                raise ImageRefused("damaged", "its image data ends too early")
            self._input = self._stream.unconsumed_tail
            inflated += more
        return inflated


def _read_pixels(reader: png.Reader, inflater: _Inflater) -> NDArray[np.uint16]:
    """Read the rows, undo their filters, and place those of interlaced passes."""
    width, height, channels = reader.width, reader.height, reader.planes
    single_pass = [((0, row, 1) for row in range(height))]
    pixels = np.empty((height, width, channels), np.uint16)
    for rows in png.adam7_generate(width, height) if reader.interlace else single_pass:
        previous = None
        for left, row, step in rows:
            length = math.ceil((width - left) / step) * channels * 2
            (filter_type,) = inflater.read(1)
            previous = reader.undo_filter(filter_type, inflater.read(length), previous)
            pixels[row, left::step] = np.frombuffer(previous, ">u2").reshape(-1, channels)
    return pixels


def _scale_significant_bits(pixels: NDArray[np.uint16], bits: bytes) -> NDArray[np.uint16]:
    """Scale values of which only the first `bits` count (chunk sBIT) to all 16."""
    count = max(bits)
    if not 1 <= min(bits) <= count <= 16:
        raise ImageRefused("damaged", f"{count} of its 16 bits are said to be significant")
    values = np.arange(WHITE + 1) >> (16 - count)
    table = (values * (WHITE / (2**count - 1))).round().astype(np.uint16)
    levels: NDArray[np.uint16] = table[pixels]
    return levels
