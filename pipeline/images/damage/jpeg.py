"""Damage of JPEG files (ITU-T T.81): Pillow hides libjpeg's warnings.

simplejpeg raises the first of them. What warns of anything but the picture itself is removed from
the bytes that it decodes.
"""

import re
from dataclasses import dataclass

from pipeline.images.damage.zeros import SECTOR, unwritten_sectors
from pipeline.images.jpeg_segments import EOI, SOS, Segment, segments

_EXTRANEOUS = re.compile(r"(\d+) extraneous bytes before marker 0x([0-9a-f]{2})")
# libjpeg's messages about damaged pictures. It has others about kinds that it cannot read.
_DAMAGE = re.compile(
    "Corrupt JPEG data|Premature end|Inconsistent progression|Bogus|Unsupported marker|"
    "table 0x[0-9a-f]+ was not defined"
)
_COM = 0xFE
_SEQUENTIAL, _PROGRESSIVE = (0xC0, 0xC1), 0xC2
# Some encoders end a scan with a few bytes of no meaning, or with zeros.
_PADDING = 16

_LowestBits = dict[int, list[int | None]]
"""Lowest bit that was sent of each of a component's 64 coefficients, None where none was."""


@dataclass(frozen=True)
class _Scans:
    """The scans of a JPEG, up to that which completes the picture.

    `parts` are the file without its metadata and without what lies between segments: bytes, and
    the range of the file that follows them. The first scan's data start at byte `start` of the
    file, the last one's at `last_start`, and end at `end`.
    """

    parts: tuple[tuple[bytes, int, int], ...]
    is_8_bit: bool
    is_complete: bool
    start: int
    last_start: int
    end: int
    marker_follows_last_scan: bool

    def stream(self, data: bytes) -> bytes:
        """Return the `parts` of the file `data`."""
        return b"".join(head + data[start:end] for head, start, end in self.parts)


def is_whole_jpeg(data: bytes) -> bool:
    """Return whether libjpeg decodes a JPEG to its end without a warning; Pillow decodes it then.

    It takes a third of the time of decoding all pixels.
    """
    if _warning(data) is not None:
        return False
    scans = _read_scans(data)
    return scans.is_complete and not _unwritten(data, scans)


def jpeg_damage(data: bytes) -> str | None:
    """Describe the damage in a JPEG's scans; None where none was detected."""
    scans = _read_scans(data)
    if not scans.is_8_bit:
        return None
    if problem := _unwritten(data, scans):
        return problem
    if problem := _decoding_problem(data, scans):
        return problem
    return None if scans.is_complete else "scans are missing at its end"


def _read_scans(data: bytes) -> _Scans:
    """Read segments and scans until the picture is complete or the file ends."""
    parts = [(data[:2], 0, 0)]
    is_sequential, is_8_bit = True, False
    lowest_bits: _LowestBits = {}
    scans: list[Segment] = []
    for segment in segments(data):
        body = data[segment.start : segment.end]
        if segment.marker in (*_SEQUENTIAL, _PROGRESSIVE) and len(body) > 7:
            is_sequential, is_8_bit = segment.marker in _SEQUENTIAL, body[2] == 8
            lowest_bits = {number: [None] * 64 for number in body[8::3]}
        if segment.marker == SOS:
            if is_sequential:
                body = _with_standard_parameters(body)
            _record_coefficients(body, lowest_bits)
            scans.append(segment)
        if not 0xE0 <= segment.marker <= 0xEF and segment.marker != _COM:
            data_end = segment.data_end if segment.marker == SOS else segment.end
            parts.append((bytes((0xFF, segment.marker)) + body, segment.end, data_end))
        if _all_sent(lowest_bits):
            break
    parts.append((bytes((0xFF, EOI)), 0, 0))
    return _Scans(
        tuple(parts),
        is_8_bit,
        _all_sent(lowest_bits),
        start=scans[0].end if scans else 0,
        last_start=scans[-1].end if scans else 0,
        end=scans[-1].data_end if scans else 0,
        marker_follows_last_scan=bool(scans) and not scans[-1].is_last,
    )


def _with_standard_parameters(header: bytes) -> bytes:
    """Return a sequential scan's header with the only right values of its last parameters.

    Encoders that write others send the same picture.
    """
    return header[:-3] + bytes((0, 63, 0)) if len(header) >= 6 else header


def _record_coefficients(header: bytes, lowest_bits: _LowestBits) -> None:
    """Note in `lowest_bits` which coefficients a scan with this header sends."""
    if len(header) < 6:
        return
    first, last, low = header[-3], header[-2], header[-1] & 15
    for number in header[3:-3:2]:
        if number in lowest_bits and first <= last < 64:
            lowest_bits[number][first : last + 1] = [low] * (last + 1 - first)


def _all_sent(lowest_bits: _LowestBits) -> bool:
    """Return whether every coefficient was sent to its last bit."""
    return bool(lowest_bits) and all(set(bits) == {0} for bits in lowest_bits.values())


def _unwritten(data: bytes, scans: _Scans) -> str | None:
    return unwritten_sectors(data, scans.start, scans.end, may_end_in_zeros=True)


def _decoding_problem(data: bytes, scans: _Scans) -> str | None:
    """Return libjpeg's first warning about the scans if it means damage; None otherwise."""
    text = _warning(scans.stream(data))
    is_damage = text is not None and _DAMAGE.search(text) and not _is_padding(text, data, scans)
    return text if is_damage else None


def _warning(stream: bytes) -> str | None:
    """Return libjpeg's first warning or error about a JPEG; None without one."""
    # It imports numpy, and the scraper is to start without.
    import simplejpeg

    try:
        # An eighth of each side: the pixels are not used.
        simplejpeg.decode_jpeg(stream, "gray", min_height=1, min_width=1, min_factor=8, strict=True)
    except ValueError as error:
        text = str(error)
        if "Insufficient memory" in text:
            raise MemoryError(text) from None
        return text
    return None


def _is_padding(text: str, data: bytes, scans: _Scans) -> bool:
    """Return whether libjpeg warns of bytes that an encoder has put after a scan."""
    extraneous = _EXTRANEOUS.search(text)
    if extraneous is None or 0xD0 <= int(extraneous[2], 16) <= 0xD7:
        return False
    count = int(extraneous[1])
    end = data[max(scans.last_start, scans.end - count) : scans.end]
    zeros = scans.marker_follows_last_scan and not end.strip(b"\0")
    return count <= _PADDING or (zeros and count < SECTOR)
