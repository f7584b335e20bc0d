"""Sectors of a disk or of a transfer that were never written, and therefore hold zeros."""

import re
from collections.abc import Iterator

SECTOR = 512
"""Bytes."""

_LONG_ZERO_RUN = re.compile(rb"\x00{%d,}" % SECTOR)
# A run of zeros that begins or ends this near to a sector's border counts as the sector.
_SLACK = 2


def unwritten_sectors(data: bytes, start: int, end: int, *, may_end_in_zeros: bool) -> str | None:
    """Describe the first run of zeros between two offsets that fills sectors; None without one.

    Undamaged pictures hold long runs of zeros too, but these do not begin and end at the borders of
    sectors. `may_end_in_zeros` states whether an undamaged picture of this kind may end in some.
    """
    if data.find(bytes(SECTOR), start, end) < 0:  # far quicker than the search below
        return None
    for first, last in zero_runs(data, start, end):
        first_sector, last_sector = -(-first // SECTOR) * SECTOR, last // SECTOR * SECTOR
        fills_sectors = first_sector - first <= _SLACK and last - last_sector <= _SLACK
        if (first_sector < last_sector and fills_sectors) or (last == end and not may_end_in_zeros):
            return describe_zeros(first, last)
    return None


def zero_runs(data: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield start and end of each run of at least `SECTOR` zeros between two offsets."""
    for run in _LONG_ZERO_RUN.finditer(data, start, end):
        yield run.start(), run.end()


def describe_zeros(start: int, end: int) -> str:
    """Return the damage of a run of zeros, in words."""
    return f"{end - start} bytes from byte {start} on are zero"
