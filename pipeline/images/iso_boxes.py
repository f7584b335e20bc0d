"""Boxes of an ISO base media file (ISO/IEC 14496-12), such as an AVIF file."""

from collections.abc import Iterator


def boxes(data: bytes, position: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start and end of the contents of each box between two offsets."""
    while position + 8 <= end:
        size, header = int.from_bytes(data[position : position + 4]), 8
        if size == 1:
            size, header = int.from_bytes(data[position + 8 : position + 16]), 16
        size = size or end - position
        if size < header or position + size > end:
            return
        yield data[position + 4 : position + 8], position + header, position + size
        position += size


def box_starts(data: bytes) -> Iterator[int]:
    """Yield the offset after each box of the file, beyond its end where the last is cut off."""
    position = 0
    while position + 8 <= len(data):
        size = int.from_bytes(data[position : position + 4])
        if size == 1:
            size = int.from_bytes(data[position + 8 : position + 16])
        if size < 8:
            return
        position += size
        yield position


def meta_boxes(data: bytes) -> dict[bytes, tuple[int, int]]:
    """Return start and end of the contents of each box in the file's `meta` box, by name."""
    found: dict[bytes, tuple[int, int]] = {}
    for name, start, end in boxes(data, 0, len(data)):
        if name == b"meta":
            found |= {part: (first, last) for part, first, last in boxes(data, start + 4, end)}
    return found
