"""Damage of JPEG files (ITU-T T.81): Pillow hides libjpeg's warnings.

simplejpeg raises the first of them. What warns of anything but the picture itself is removed from
the bytes that it decodes.
"""

import re
from dataclasses import dataclass, field

from pipeline.images.damage.zeros import SECTOR, unwritten_sectors

_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_EXTRANEOUS = re.compile(r"(\d+) extraneous bytes before marker 0x([0-9a-f]{2})")
# libjpeg's messages about damaged pictures. It has others about kinds that it cannot read.
_DAMAGE = re.compile(
    "Corrupt JPEG data|Premature end|Inconsistent progression|Bogus|Unsupported marker|"
    "table 0x[0-9a-f]+ was not defined"
)
_SOI, _EOI, _SOS, _TEM, _COM = 0xD8, 0xD9, 0xDA, 0x01, 0xFE
_SEQUENTIAL, _PROGRESSIVE = (0xC0, 0xC1), 0xC2
# Some encoders end a scan with a few bytes of no meaning, or with zeros.
_PADDING = 16


@dataclass
class _Scans:
    """The scans of a JPEG, as far as they were read.

    `stream` is the file without its metadata and without what lies between segments. The first
    scan starts at byte `start` of the file; the last that was read is `last` and ends at `end`.
    `bits` are the lowest bits that were sent of each component's 64 coefficients, None where none
    was.
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


def jpeg_damage(data: bytes) -> str | None:
    """Describe the damage in a JPEG's scans; None where none was detected."""
    scans = _read_scans(data)
    if not scans.checkable:
        return None
    if problem := unwritten_sectors(data, scans.start, scans.end, may_end_in_zeros=True):
        return problem
    if problem := _decoding_problem(scans):
        return problem
    return None if scans.complete else "scans are missing at its end"


def _read_scans(data: bytes) -> _Scans:
    """Read segments and scans until the picture is complete or the file ends."""
    scans, position = _Scans(bytearray(data[:2])), 2
    while not scans.complete and (match := _MARKER.search(data, position)):
        marker, position = match[0][1], match.end()
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
    """Return libjpeg's first warning about the scans; None without one."""
    # It imports numpy, and the scraper is to start without.
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
        return text if _DAMAGE.search(text) and not _is_padding(text, scans) else None
    return None


def _is_padding(text: str, scans: _Scans) -> bool:
    """Return whether libjpeg warns of bytes that an encoder has put behind a scan."""
    extraneous = _EXTRANEOUS.search(text)
    if extraneous is None or 0xD0 <= int(extraneous[2], 16) <= 0xD7:
        return False
    count = int(extraneous[1])
    zeros = scans.ended and not scans.last[-count:].strip(b"\0")
    return count <= _PADDING or (zeros and count < SECTOR)
