"""Damage that decoders do not tell of: they fill what is missing with grey, or draw noise.

Of a JPEG, Pillow hides libjpeg's warnings; simplejpeg raises the first of them. What warns of
anything but the picture itself is left out of the bytes that it is given. Sectors that were never
written are found by their zeros.
"""

import re
from dataclasses import dataclass, field

from PIL import Image

_SECTOR = 512
_LONG_ZERO_RUN = re.compile(rb"\x00{%d,}" % _SECTOR)
# A run of zeros that begins or ends this near to a sector's border counts as the sector.
_SLACK = 2

_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_EXTRANEOUS = re.compile(r"(\d+) extraneous bytes before marker 0x([0-9a-f]{2})")
# What libjpeg says of damaged pictures. It says other things of kinds that it cannot read.
_JPEG_DAMAGE = re.compile(
    "Corrupt JPEG data|Premature end|Inconsistent progression|Bogus|Unsupported marker|"
    "table 0x[0-9a-f]+ was not defined"
)
_SOI, _EOI, _SOS, _TEM, _COM = 0xD8, 0xD9, 0xDA, 0x01, 0xFE
_SEQUENTIAL, _PROGRESSIVE = (0xC0, 0xC1), 0xC2
# Some encoders end a scan with a few bytes of no meaning, or with zeros.
_PADDING = 16


def check_decodes(image: Image.Image, data: bytes) -> None:
    """Decode `image`, which was opened from `data`; raise whatever Pillow does, or `OSError`."""
    format = str(image.format)
    image.load()
    if damage := damage_of(data, format):
        raise OSError(damage)


def damage_of(data: bytes, format: str) -> str | None:
    """What is damaged in a file that Pillow decoded as `format`; None where nothing is known.

    Metadata, padding and whatever follows the picture do not matter. A JPEG of a kind that only
    other decoders read (arithmetic coding, 12 bits, lossless) is not looked at. PNG needs no such
    check: its pixels carry a checksum that Pillow compares. Raises `MemoryError`.
    """
    if format in ("JPEG", "MPO"):
        return _jpeg_damage(data)
    if format == "WEBP":
        return _webp_damage(data)
    return None


def _unwritten(data: bytes, start: int, end: int, *, ends_in_zeros: bool) -> str | None:
    """Sectors of a disk or of a transfer between `start` and `end` that were never written.

    Whole pictures hold long runs of zeros too, but not from the border of a sector to another's.
    `ends_in_zeros`: whether a whole picture of this kind may.
    """
    if data.find(bytes(_SECTOR), start, end) < 0:  # far quicker than the search below
        return None
    for run in _LONG_ZERO_RUN.finditer(data, start, end):
        first, last = -(-run.start() // _SECTOR) * _SECTOR, run.end() // _SECTOR * _SECTOR
        sectors = first - run.start() <= _SLACK and run.end() - last <= _SLACK
        if (first < last and sectors) or (run.end() == end and not ends_in_zeros):
            return f"{run.end() - run.start()} bytes from byte {run.start()} on are zero"
    return None


def _webp_damage(data: bytes) -> str | None:
    """Look at the picture's chunks: decoders notice that bytes are missing, but not zeros."""
    position = 12
    while position + 8 <= len(data):
        name, size = data[position : position + 4], data[position + 4 : position + 8]
        start, length = position + 8, int.from_bytes(size, "little")
        if name in (b"VP8 ", b"VP8L"):
            end = min(start + length, len(data))
            if problem := _unwritten(data, start, end, ends_in_zeros=name == b"VP8L"):
                return problem
        position = start + length + length % 2
    return None


@dataclass
class _Scans:
    """What the scans of a JPEG tell, as far as they were read.

    `stream` is the file without its metadata and without what lies between segments; the first
    scan starts at `start` of the file, the last that was read is `last` and ends at `end`. `bits`
    are the lowest bits that were sent of each component's 64 coefficients, None where none was.
    """

    stream: bytearray
    sequential: bool = True
    checkable: bool = False
    start: int = 0
    end: int = 0
    last: bytes = b""
    ended: bool = False
    bits: dict[int, list[int | None]] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether every coefficient was sent to its last bit."""
        return bool(self.bits) and all(set(bits) == {0} for bits in self.bits.values())


def _jpeg_damage(data: bytes) -> str | None:
    scans = _read_scans(data)
    if not scans.checkable:
        return None
    if problem := _unwritten(data, scans.start, scans.end, ends_in_zeros=True):
        return problem
    if problem := _decoding_problem(scans):
        return problem
    return None if scans.complete else "scans are missing at its end"


def _read_scans(data: bytes) -> _Scans:
    """Read segments and scans until the picture is complete or the file ends."""
    scans, position = _Scans(bytearray(data[:2])), 2
    while not scans.complete and (found := _MARKER.search(data, position)):
        marker, position = found[0][1], found.end()
        if marker == _EOI:
            break
        if marker in (_SOI, _TEM):
            continue
        end = position + int.from_bytes(data[position : position + 2])
        body = bytearray(data[position:end])
        position = end
        if marker in (*_SEQUENTIAL, _PROGRESSIVE) and len(body) > 7:
            scans.sequential = marker in _SEQUENTIAL
            scans.checkable = body[2] == 8
            scans.bits = {number: [None] * 64 for number in body[8::3]}
        if marker == _SOS:
            _note_scan(scans, body)
            following = _MARKER.search(data, position)
            scans.start = scans.start or position
            scans.end = position = following.start() if following else len(data)
            scans.last, scans.ended = data[end:position], following is not None
            body += scans.last
        if not 0xE0 <= marker <= 0xEF and marker != _COM:
            scans.stream += bytes((0xFF, marker)) + body
    scans.stream += bytes((0xFF, _EOI))
    return scans


def _note_scan(scans: _Scans, header: bytearray) -> None:
    """Note which coefficients a scan sends."""
    if len(header) < 6:
        return
    if scans.sequential:
        # These have one right value, and encoders that write others send the same picture.
        header[-3:] = (0, 63, 0)
    first, last, low = header[-3], header[-2], header[-1] & 15
    for number in header[3:-3:2]:
        if number in scans.bits and first <= last < 64:
            scans.bits[number][first : last + 1] = [low] * (last + 1 - first)


def _decoding_problem(scans: _Scans) -> str | None:
    # numpy comes with it, and the scraper is to start without.
    import simplejpeg

    try:
        # An eighth of each side: the pixels are not used.
        simplejpeg.decode_jpeg(
            bytes(scans.stream), "gray", min_height=1, min_width=1, min_factor=8, strict=True
        )
    except ValueError as error:
        text = str(error)
        if "Insufficient memory" in text:
            raise MemoryError(text) from None
        return text if _JPEG_DAMAGE.search(text) and not _is_padding(text, scans) else None
    return None


def _is_padding(text: str, scans: _Scans) -> bool:
    """Whether libjpeg's warning tells of bytes that an encoder has put behind a scan."""
    extraneous = _EXTRANEOUS.search(text)
    if extraneous is None or 0xD0 <= int(extraneous[2], 16) <= 0xD7:
        return False
    count = int(extraneous[1])
    zeros = scans.ended and not scans.last[-count:].strip(b"\0")
    return count <= _PADDING or (zeros and count < _SECTOR)
