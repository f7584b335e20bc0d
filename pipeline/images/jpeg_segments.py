"""Segments of a JPEG file (ITU-T T.81, annex B) and the number of its scans."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

SOS, EOI = 0xDA, 0xD9
"""Start of a scan, end of the image."""
_SOI, _TEM = 0xD8, 0x01
_END = bytes((0xFF, EOI))
# All markers that end compressed data: the others are restart markers, and bytes of it.
_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")


@dataclass(frozen=True)
class Segment:
    """A segment whose `marker` is followed by length and parameters, from byte `start` to `end`.

    Up to `data_end` lie a scan's compressed data, or bytes of no meaning; then the next marker
    follows, or with `is_last` the file ends.
    """

    marker: int
    start: int
    end: int
    data_end: int
    is_last: bool


def segments(data: bytes) -> Iterator[Segment]:
    """Yield the segments of a JPEG's picture, up to the end of the image or of the file."""
    match = _MARKER.search(data, 2)
    while match and match[1][0] != EOI:
        start = match.end()
        if match[1][0] in (_SOI, _TEM):  # markers without a segment
            match = _MARKER.search(data, start)
            continue
        end = start + int.from_bytes(data[start : start + 2])
        following = _MARKER.search(data, end)
        data_end = following.start() if following else len(data)
        yield Segment(match[1][0], start, end, data_end, following is None)
        match = following


def end_of_jpeg(data: bytes) -> int | None:
    """Return where the picture's end marker ends; None where the file has none."""
    position = 2
    for segment in segments(data):
        if segment.is_last:
            return None
        position = segment.data_end
    end = data.find(_END, position)
    return None if end < 0 else end + len(_END)


def lacks_end(data: bytes) -> bool:
    """Return whether a JPEG file ends within or after a scan, without the marker of its end."""
    # Nearly all files end so, and need not be searched.
    if not data.startswith(b"\xff\xd8") or data.endswith(_END):
        return False
    return end_of_jpeg(data) is None and scan_count(data) > 0


def scan_count(data: bytes) -> int:
    """Return how many scans a JPEG file has: each is decoded for every pixel.

    Ten are usual in a progressive file. Profiles, thumbnails and bytes after the picture do not
    count.
    """
    return sum(segment.marker == SOS for segment in segments(data))
