"""TIFFs of 16 bits that Pillow does not open, under tags with which it does."""

import struct

BITS, PHOTOMETRIC, ORIENTATION, SAMPLES, PLANES, PREDICTOR, EXTRA = (
    258, 262, 274, 277, 284, 317, 338
)  # fmt: skip
MIN_IS_WHITE, MIN_IS_BLACK, RGB = 0, 1, 2
_ENTRY_BYTES, _INLINE_BYTES, _SHORT = 12, 4, 3
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}

Entries = dict[int, tuple[int, int]]
"""Position and first value of the entries of one directory, by tag; values of 16 bits alone"""


_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}


def ends_before_its_tags(data: bytes) -> bool:
    """Return whether a TIFF ends before its first directory and its values do.

    Of BigTIFF that is not known.
    """
    order = _ORDERS.get(data[:4])
    if order is None:
        return False
    (start,) = struct.unpack_from(f"{order}I", data.ljust(8, b"\xff"), 4)
    if start + 2 > len(data):
        return True
    (count,) = struct.unpack_from(f"{order}H", data, start)
    values_end = start + 2 + count * _ENTRY_BYTES
    if values_end > len(data):
        return True
    for position in range(start + 2, values_end, _ENTRY_BYTES):
        _, kind, length, offset = struct.unpack_from(f"{order}HHII", data, position)
        value_bytes = length * _TYPE_BYTES.get(kind, 0)
        if value_bytes > _INLINE_BYTES and offset + value_bytes > len(data):
            return True
    return False


def readable_tiff(data: bytes) -> tuple[bytes, str] | None:
    """Return a file with other tags, and how its samples are to be read; None for other files.

    ">": grey whose zero is white, of a big-endian file. "LA": grey and alpha, which Pillow is to
    decode as RGBA of 8 bits, neither turned nor with differences undone.
    """
    if len(data) < 8:
        return None
    order = _ORDERS.get(data[:4])
    if order is None:
        return None
    entries = _entries(data, order)
    samples = entries.get(SAMPLES, (0, 1))[1]
    if entries.get(BITS, (0, 1))[1] != 16 or entries.get(PLANES, (0, 1))[1] != 1:
        return None
    photometric = entries.get(PHOTOMETRIC, (0, RGB))[1]
    if samples == 1 and photometric == MIN_IS_WHITE:
        return _with_values(data, order, entries, {PHOTOMETRIC: MIN_IS_BLACK}), ">"
    if samples == 2 and photometric in (MIN_IS_WHITE, MIN_IS_BLACK) and EXTRA in entries:
        values = {BITS: 8, SAMPLES: 4, PHOTOMETRIC: RGB, ORIENTATION: 1, PREDICTOR: 1, EXTRA: 2}
        return _with_values(data, order, entries, values), "LA"
    return None


def short_tags(data: bytes) -> dict[int, int]:
    """Return the first values of the first directory's tags, if they have 16 bits."""
    order = "<" if data[:2] == b"II" else ">"
    return {tag: value for tag, (_, value) in _entries(data, order).items()}


def _entries(data: bytes, order: str) -> Entries:
    """Read the first directory, as far as the file has it."""
    (start,) = struct.unpack_from(f"{order}I", data, 4)
    count_at = data[start : start + 2]
    if len(count_at) < 2:
        return {}
    (count,) = struct.unpack(f"{order}H", count_at)
    entries: Entries = {}
    for position in range(start + 2, start + 2 + count * _ENTRY_BYTES, _ENTRY_BYTES):
        if position + _ENTRY_BYTES > len(data):
            break
        tag, kind, length, first = struct.unpack_from(f"{order}HHIH", data, position)
        if kind == _SHORT and 1 <= length <= 2:
            entries[tag] = (position, first)
    return entries


def _with_values(data: bytes, order: str, entries: Entries, values: dict[int, int]) -> bytes:
    """Return the file with one value for each tag that it has."""
    changed = bytearray(data)
    for tag, value in values.items():
        if tag in entries:
            struct.pack_into(f"{order}HHIHH", changed, entries[tag][0], tag, _SHORT, 1, value, 0)
    return bytes(changed)
