"""How hard an AVIF was compressed: the quantiser of its AV1 frame (AV1 specification, 5.5, 5.9)."""

from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.images.heif_items import av1_extents, primary_item

_SEQUENCE_HEADER, _FRAME_HEADER, _FRAME = 1, 3, 6
"""Types of the units of a stream (OBU)"""
_HEADER_BYTES = 64
_MAX_TILE_WIDTH, _MAX_TILE_AREA, _MAX_TILES = 4096, 4096 * 2304, 64
_MAX_LEB128_BYTES = 8
_FULL_CHROMA_PROFILE = 1


@dataclass(frozen=True)
class Avif:
    """Compression of a lossy AVIF file.

    `quantiser` is an index, 1 to 255: the larger, the more is lost. `subsampled`: whether chroma
    has fewer samples than luma.
    """

    quantiser: int
    subsampled: bool


def avif_of(data: bytes) -> Avif | None:
    """Return the compression of an AVIF file, of several parts that of the first.

    Returns None for lossless files and animations, and for what still pictures seldom have: unlike
    tiles, or a reduced width.
    """
    extents = list(av1_extents(data))
    primary = primary_item(data)
    # A picture of several parts is an item without a stream of its own.
    start, end = next((part[1:] for part in extents if part[0] == primary), (0, 0))
    if not start and extents:
        _, start, end = min(extents)
    units = {kind: _Bits(content) for kind, content in _units(data[start:end])}
    sequence, frame = units.get(_SEQUENCE_HEADER), units.get(_FRAME, units.get(_FRAME_HEADER))
    if sequence is None or frame is None:
        return None
    profile = sequence.read(3)
    quantiser = _base_q_index(sequence, frame)
    return Avif(quantiser, profile != _FULL_CHROMA_PROFILE) if quantiser else None


def _units(stream: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield type and first bytes of each unit."""
    position = 0
    while position < len(stream):
        header = stream[position]
        position += 2 if header & 4 else 1
        size = len(stream) - position
        if header & 2:
            size = 0
            for shift in range(0, 7 * _MAX_LEB128_BYTES, 7):
                byte = int.from_bytes(stream[position : position + 1])
                position += 1
                size |= (byte & 127) << shift
                if byte < 128:
                    break
        yield header >> 3 & 15, stream[position : position + min(size, _HEADER_BYTES)]
        position += size


class _Bits:
    """Reads bits, the highest of each byte first; zeros follow the data."""

    def __init__(self, data: bytes) -> None:
        self._bits = int.from_bytes(data.ljust(_HEADER_BYTES, b"\0"))
        self._left = 8 * _HEADER_BYTES

    def read(self, count: int = 1) -> int:
        self._left = max(self._left - count, 0)
        return self._bits >> self._left & (1 << count) - 1

    def read_increments(self, least: int, most: int) -> int:
        """Return `least` and the number of set bits up to a clear one, at most `most`."""
        while least < most and self.read():
            least += 1
        return least


def _base_q_index(sequence: _Bits, frame: _Bits) -> int | None:
    """Return `base_q_idx` of a still picture's only frame; `sequence` is behind its profile."""
    sequence.read()  # still picture
    if not sequence.read():  # the reduced header of still pictures
        return None
    sequence.read(5)  # level
    width_bits, height_bits = sequence.read(4) + 1, sequence.read(4) + 1
    width, height = sequence.read(width_bits) + 1, sequence.read(height_bits) + 1
    has_large_blocks = sequence.read()
    sequence.read(2)  # filters
    has_super_resolution = sequence.read()

    frame.read()  # adaptation of the entropy coder
    has_screen_tools = frame.read()
    if has_screen_tools:
        frame.read()  # whole motion vectors
    if has_super_resolution and frame.read():
        return None
    if frame.read():  # size to show it in
        frame.read(2 * 16)
    if has_screen_tools:
        frame.read()  # copies of blocks
    if not frame.read():  # tiles of one size
        return None
    _skip_tiles(frame, width, height, 128 if has_large_blocks else 64)
    return frame.read(8)


def _skip_tiles(frame: _Bits, width: int, height: int, block: int) -> None:
    """Skip the numbers of tiles (`tile_info`), which depend on the number of blocks."""
    columns, rows = -(-width // block), -(-height // block)
    least_columns = _log2(_MAX_TILE_WIDTH // block, columns)
    least = max(least_columns, _log2(_MAX_TILE_AREA // block**2, columns * rows))
    across = frame.read_increments(least_columns, _log2(1, min(columns, _MAX_TILES)))
    down = frame.read_increments(max(least - across, 0), _log2(1, min(rows, _MAX_TILES)))
    if across + down:
        frame.read(across + down + 2)


def _log2(unit: int, target: int) -> int:
    """Return the least power of 2 by which `unit` is at least `target`."""
    power = 0
    while unit << power < target:
        power += 1
    return power
