"""Damage of JPEG 2000 files: decoders take zeros for packets without content."""

from pipeline.images.damage.zeros import SECTOR, describe_zeros, unwritten_sectors, zero_runs

_START_OF_CODESTREAM = b"\xff\x4f\xff\x51"
_END_OF_CODESTREAM = b"\xff\xd9"
_SIZ, _COD, _SOT = 0x51, 0x52, 0x90


def jpeg2000_damage(data: bytes) -> str | None:
    """Describe the damage in the codestream; None where none was detected."""
    start = max(data.find(_START_OF_CODESTREAM), 0)
    end = data.rfind(_END_OF_CODESTREAM, start)
    if end < 0:
        return "the end of its codestream is missing"
    if problem := unwritten_sectors(data, start, end, may_end_in_zeros=True):
        return problem
    max_zeros = _max_packets(data, start)
    for first, last in zero_runs(data, start, end):
        if max_zeros is not None and last - first > max_zeros + SECTOR:
            return describe_zeros(first, last)
    return None


def _max_packets(data: bytes, start: int) -> int | None:
    """Return an upper bound of the packets of a tile, each a zero byte if it is empty.

    None where the main header does not say.
    """
    position, components, sides = start + 2, 0, (0, 0)
    while position + 4 <= len(data) and data[position] == 0xFF and data[position + 1] != _SOT:
        marker = data[position + 1]
        length = int.from_bytes(data[position + 2 : position + 4])
        body = data[position + 4 : position + 2 + length]
        if marker == _SIZ:
            sides = int.from_bytes(body[2:6]), int.from_bytes(body[6:10])
            components = int.from_bytes(body[34:36])
        if marker == _COD and len(body) > 9:
            return int.from_bytes(body[2:4]) * components * _max_precincts(body, sides)
        position += 2 + length
    return None


def _max_precincts(cod: bytes, sides: tuple[int, int]) -> int:
    """Return an upper bound of a component's precincts on all levels, by the COD segment."""
    levels = cod[5]
    # Largest precincts, of 2^15 on a side, where none are listed.
    sizes = cod[10:] if cod[0] & 1 else b"\xff" * (levels + 1)
    precincts = 0
    for level, size in enumerate(reversed(sizes)):
        columns, rows = (
            (side >> (level + bits)) + 2
            for side, bits in zip(sides, (size & 15, size >> 4), strict=True)
        )
        precincts += columns * rows
    return precincts
