"""How hard a WebP file was compressed: the quantiser of its VP8 frame (RFC 6386)."""

from pipeline.images.webp_chunks import LOSSY, first_stream

# The frame's tag, a start code, width and height; coded bits follow.
_FRAME_HEADER = 10
_SEGMENTS = 4
_REFERENCES_AND_MODES = 8


def webp_quantiser(data: bytes) -> int | None:
    """Return the index of the quantiser, 0 to 127: the larger, the more is lost.

    libwebp writes 36 for quality 75, 27 for 80, 20 for 85 and 12 for 90, or 26, 19, 14 and 9 where
    it has one quantiser for all of the picture. Of an animation it is the first frame's. Returns
    None for lossless files.
    """
    stream = first_stream(data)
    if stream is None or stream[0] != LOSSY:
        return None
    bits = _CodedBits(data, stream[1] + _FRAME_HEADER)
    bits.read(2)  # colour space, clamping
    if bits.read(1):
        _skip_segments(bits)
    bits.read(1 + 6 + 3)  # the loop filter's kind, level and sharpness
    if bits.read(1) and bits.read(1):
        bits.skip_optional(_REFERENCES_AND_MODES, 6 + 1)
    bits.read(2)  # number of partitions
    return bits.read(7)


def _skip_segments(bits: "_CodedBits") -> None:
    """Skip the quantisers and filters of parts of the picture (section 9.3)."""
    has_map, has_values = bits.read(1), bits.read(1)
    if has_values:
        bits.read(1)
        bits.skip_optional(_SEGMENTS, 7 + 1)
        bits.skip_optional(_SEGMENTS, 6 + 1)
    if has_map:
        bits.skip_optional(_SEGMENTS - 1, 8)


class _CodedBits:
    """Reads bits that are 0 or 1 with equal probability (section 7.3); zeros follow the data."""

    def __init__(self, data: bytes, position: int) -> None:
        self._data = data
        self._position = position
        self._value = self._byte() << 8 | self._byte()
        self._range = 255
        self._shifts = 0

    def read(self, count: int) -> int:
        """Return an unsigned number of so many bits."""
        number = 0
        for _ in range(count):
            number = 2 * number + self._bit()
        return number

    def skip_optional(self, values: int, bits: int) -> None:
        """Skip values of so many bits, each after a bit that says whether it is there."""
        for _ in range(values):
            if self.read(1):
                self.read(bits)

    def _bit(self) -> int:
        half = (self._range + 1) // 2
        bit = int(self._value >= half << 8)
        self._value -= bit * half << 8
        self._range = self._range - half if bit else half
        while self._range < 128:
            self._range *= 2
            self._value *= 2
            self._shifts += 1
            if self._shifts == 8:
                self._shifts = 0
                self._value |= self._byte()
        return bit

    def _byte(self) -> int:
        self._position += 1
        read = self._data[self._position - 1 : self._position]
        return read[0] if read else 0
