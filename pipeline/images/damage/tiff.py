"""Damage of TIFF files."""

from collections.abc import Iterator, Mapping
from typing import Any

from PIL.TiffImagePlugin import (
    COMPRESSION,
    STRIPBYTECOUNTS,
    STRIPOFFSETS,
    TILEBYTECOUNTS,
    TILEOFFSETS,
)

from pipeline.images.damage.zeros import describe_zeros, unwritten_sectors
from pipeline.images.opening import open_image

# LZW, JPEG, deflate (twice), PackBits, LZMA, Zstandard, WebP. Others have undamaged parts that end
# in zeros: uncompressed ones are black there, and fax codes are filled up with them.
_CHECKED_COMPRESSIONS = frozenset({5, 7, 8, 32946, 32773, 34925, 50000, 50001})
# Shorter parts may be zeros alone.
_SHORT = 16


def tiff_damage(data: bytes) -> str | None:
    """Describe the damage in the first picture's tags and compressed parts; None without any."""
    try:
        with open_image(data) as image:
            tags = dict(getattr(image, "tag_v2", {}))
    except LookupError as error:  # Pillow parses a tag when it is asked for, and decodes without
        return f"its tag {error} cannot be read"
    if tags.get(COMPRESSION) not in _CHECKED_COMPRESSIONS:
        return None
    for start, length in stored_parts(tags):
        end = min(start + length, len(data))
        if length > _SHORT and not data[start:end].strip(b"\0"):
            return describe_zeros(start, start + length)
        if problem := unwritten_sectors(data, start, end, may_end_in_zeros=False):
            return problem
    return None


def stored_parts(tags: Mapping[int, Any]) -> Iterator[tuple[int, int]]:
    """Yield offset and length of each strip or tile."""
    for offsets, lengths in ((STRIPOFFSETS, STRIPBYTECOUNTS), (TILEOFFSETS, TILEBYTECOUNTS)):
        yield from zip(tags.get(offsets, ()), tags.get(lengths, ()), strict=False)
