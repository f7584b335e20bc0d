"""Damage of TIFF files."""

import io

from PIL import Image

from pipeline.images.damage.zeros import describe_zeros, unwritten_sectors

_COMPRESSION = 259
_STRIP_OFFSETS, _STRIP_BYTE_COUNTS = 273, 279
_TILE_OFFSETS, _TILE_BYTE_COUNTS = 324, 325
# LZW, JPEG, deflate (twice), PackBits, LZMA, Zstandard, WebP. Fax codes may be filled with zeros.
_CHECKED_COMPRESSIONS = frozenset({5, 7, 8, 32946, 32773, 34925, 50000, 50001})
# Shorter parts may be zeros alone.
_SHORT = 16


def tiff_damage(data: bytes) -> str | None:
    """Describe the damage in the first picture's compressed strips or tiles; None without any."""
    with Image.open(io.BytesIO(data), formats=("TIFF",)) as image:
        tags = dict(getattr(image, "tag_v2", {}))
    if tags.get(_COMPRESSION) not in _CHECKED_COMPRESSIONS:
        return None
    for offsets, lengths in (
        (_STRIP_OFFSETS, _STRIP_BYTE_COUNTS),
        (_TILE_OFFSETS, _TILE_BYTE_COUNTS),
    ):
        for start, length in zip(tags.get(offsets, ()), tags.get(lengths, ()), strict=False):
            end = min(start + length, len(data))
            if length > _SHORT and not data[start:end].strip(b"\0"):
                return describe_zeros(start, start + length)
            if problem := unwritten_sectors(data, start, end, ends_in_zeros=False):
                return problem
    return None
