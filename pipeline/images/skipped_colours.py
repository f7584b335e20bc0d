"""Colours that Pillow skips: AVIF's box nclx (ISO/IEC 23008-12), profiles of JPEG 2000 and BMP."""

import struct
from collections.abc import Iterator

from pipeline.images.cicp import Cicp
from pipeline.images.heif_items import primary_item
from pipeline.images.iso_boxes import boxes, meta_boxes

# From a track to the description of its frames; the offsets are of what precedes inner boxes.
_TRACK_PATH = ((b"moov", 0), (b"trak", 0), (b"mdia", 0), (b"minf", 0), (b"stbl", 0), (b"stsd", 8))
_SAMPLE_ENTRY_BYTES = 78
_BMP_HEADER = 14


def avif_cicp(data: bytes) -> Cicp | None:
    """Return the codes of the primary picture, or of an animation; None without such a box.

    The decoder has made RGB of the samples, of all levels.
    """
    for content in (*_of_primary_item(data), *_of_tracks(data)):
        if content[:4] == b"nclx" and len(content) >= 8:
            return Cicp.of_avif(*struct.unpack_from(">HH", content, 4))
    return None


def jpeg2000_profile(data: bytes) -> bytes | None:
    """Return the ICC profile of a JPEG 2000 file; None without one."""
    for name, start, end in boxes(data, 0, len(data)):
        if name == b"jp2h":
            for inner, first, last in boxes(data, start, end):
                if inner == b"colr" and data[first : first + 1] == b"\2":
                    return data[first + 3 : last]
    return None


def bmp_profile(data: bytes) -> bytes | None:
    """Return the ICC profile that a BMP with a header of version 5 embeds; None without one."""
    header = data[_BMP_HEADER : _BMP_HEADER + 124]
    if len(header) < 124 or header[:4] != b"\x7c\0\0\0" or header[56:60] != b"DEBM":
        return None
    start, size = struct.unpack_from("<II", header, 112)
    return data[_BMP_HEADER + start :][:size]


def _of_primary_item(data: bytes) -> Iterator[bytes]:
    """Yield the contents of the `colr` boxes that belong to the primary item."""
    meta, item = meta_boxes(data), primary_item(data)
    if item is None or b"iprp" not in meta:
        return
    colours: dict[int, bytes] = {}
    used: set[int] = set()
    for name, first, last in boxes(data, *meta[b"iprp"]):
        if name == b"ipco":
            properties = enumerate(boxes(data, first, last), 1)
            colours |= {number: data[a:b] for number, (one, a, b) in properties if one == b"colr"}
        if name == b"ipma":
            used |= _associations(data[first:last], item)
    for number, content in colours.items():
        if number in used:
            yield content


def _associations(ipma: bytes, item: int) -> set[int]:
    """Return the numbers of an item's properties."""
    item_bytes, index_bytes = (2 if ipma[:1] == b"\0" else 4), (2 if ipma[3:4] == b"\1" else 1)
    numbers: set[int] = set()
    position = 8
    while position + item_bytes < len(ipma):
        of_item = int.from_bytes(ipma[position : position + item_bytes])
        count = ipma[position + item_bytes]
        position += item_bytes + 1
        if of_item == item:
            for start in range(position, position + count * index_bytes, index_bytes):
                index = int.from_bytes(ipma[start : start + index_bytes])
                numbers.add(index & (2 ** (8 * index_bytes - 1) - 1))
        position += count * index_bytes
    return numbers


def _of_tracks(data: bytes) -> Iterator[bytes]:
    """Yield the contents of the `colr` boxes of an animation's tracks."""
    ranges = [(0, len(data))]
    for wanted, offset in (*_TRACK_PATH, (b"av01", _SAMPLE_ENTRY_BYTES)):
        ranges = [
            (first + offset, last)
            for start, end in ranges
            for name, first, last in boxes(data, start, end)
            if name == wanted
        ]
    for start, end in ranges:
        for name, first, last in boxes(data, start, end):
            if name == b"colr":
                yield data[first:last]
