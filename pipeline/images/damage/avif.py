"""Damage of AVIF files."""

from pipeline.images.damage.zeros import unwritten_sectors
from pipeline.images.heif_items import av1_extents


def avif_damage(data: bytes) -> str | None:
    """Describe unwritten sectors in the coded pictures; None where none was detected.

    Metadata may hold any zeros.
    """
    for _, start, end in av1_extents(data):
        if problem := unwritten_sectors(data, start, end, may_end_in_zeros=False):
            return problem
    return None
