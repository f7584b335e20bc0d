"""Items of a HEIF file, such as AVIF: coded pictures, and where they lie (ISO/IEC 23008-12)."""

import io
from collections.abc import Iterator

from pipeline.images.iso_boxes import boxes, meta_boxes


def av1_extents(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield id, start and end of each part of the file's pictures of AV1."""
    meta = meta_boxes(data)
    if not {b"iinf", b"iloc"} <= meta.keys():
        return
    coded = _coded_items(data, *meta[b"iinf"])
    for item, start, end in _item_extents(data, *meta[b"iloc"]):
        if item in coded:
            yield item, start, min(end, len(data))


def primary_item(data: bytes) -> int | None:
    """Return the id of the item that is shown, which may be made of others; None without one."""
    start, end = meta_boxes(data).get(b"pitm", (0, 0))
    id_bytes = 2 if data[start : start + 1] == b"\0" else 4
    return int.from_bytes(data[start + 4 : end][:id_bytes]) if start else None


def _coded_items(data: bytes, start: int, end: int) -> set[int]:
    """Return the ids of the items of type `av01` that the `iinf` box lists."""
    coded: set[int] = set()
    # The entries follow version, flags and their count, which has 4 bytes after version 0.
    entries = start + (6 if data[start : start + 1] == b"\0" else 8)
    for name, entry, _ in boxes(data, entries, end):
        id_bytes = 4 if data[entry : entry + 1] > b"\2" else 2
        item_type = data[entry + 6 + id_bytes : entry + 10 + id_bytes]
        if name == b"infe" and item_type == b"av01":
            coded.add(int.from_bytes(data[entry + 4 : entry + 4 + id_bytes]))
    return coded


def _item_extents(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield id, start and end of each part of an item in the file, by the `iloc` box."""
    box = io.BytesIO(data[start:end])

    def number(size: int) -> int:
        return int.from_bytes(box.read(size))

    version, sizes = number(4) >> 24, number(2)
    offset_size, length_size, base_size, index_size = (sizes >> n & 15 for n in (12, 8, 4, 0))
    for _ in range(number(4 if version == 2 else 2)):
        item = number(4 if version == 2 else 2)
        in_file = (number(2) if version else 0) & 15 == 0
        number(2)
        base = number(base_size)
        for _ in range(number(2)):
            number(index_size if version else 0)
            first = base + number(offset_size)
            length = number(length_size)
            if in_file:
                yield item, first, first + length
            # Further ones would be equal, and take no bytes: a small file may list billions.
            if not index_size + offset_size + length_size:
                break
        if box.tell() >= end - start:
            return
