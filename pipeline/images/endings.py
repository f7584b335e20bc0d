"""Where a file's picture ends, by the structure of its format: whether the file was cut off."""

import warnings
from contextlib import suppress

from pipeline.images.damage.tiff import stored_parts
from pipeline.images.gif_blocks import TRAILER, gif_blocks
from pipeline.images.iso_boxes import box_starts
from pipeline.images.jpeg_segments import end_of_jpeg
from pipeline.images.opening import open_image
from pipeline.images.png_chunks import png_chunks
from pipeline.images.tiff_samples import ends_before_its_tags

_END_OF_CODESTREAM = b"\xff\xd9"
_BMP_HEADER = 14
_BOX_HEADER = 8
_UNCOMPRESSED = (0, 3)
"""Values of a BMP's compression: RGB, and RGB with masks"""


def end_of_picture(data: bytes, format: str | None) -> int | None:
    """Return the offset at which a file's first picture ends; None where the file ends before.

    It is that of the file's end where the format does not say.
    """
    if format == "JPEG":
        return end_of_jpeg(data)
    if format == "PNG":
        return next((end + 4 for kind, _, end in png_chunks(data) if kind == b"IEND"), None)
    if format == "GIF":
        return next((end for kind, _, end in gif_blocks(data) if kind == TRAILER), None)
    end = len(data)
    if format == "WEBP":
        size = int.from_bytes(data[4:8], "little")
        end = 8 + size if len(data) <= 8 + size else 8 + size + size % 2
    elif format == "BMP":
        end = _end_of_bmp(data)
    elif format in ("AVIF", "JPEG2000") and data[:1] == b"\0":
        end = _end_of_boxes(data)
    if format == "TIFF" and _ends_within_tiff(data):
        return None
    if format == "JPEG2000" and _END_OF_CODESTREAM not in data:
        return None
    return end if end <= len(data) else None


def _end_of_boxes(data: bytes) -> int:
    """Return where the last box ends, of which there may be no more than a part of its header."""
    *_, end = (0, *box_starts(data))
    return end + _BOX_HEADER if 0 < len(data) - end < _BOX_HEADER else end


def _end_of_bmp(data: bytes) -> int:
    """Return where a BMP's pixels end; where they are compressed, what its header says."""
    header = data[_BMP_HEADER : _BMP_HEADER + 20]
    if len(header) < 20:
        return _BMP_HEADER + 20
    compression = int.from_bytes(header[16:20], "little")
    if int.from_bytes(header[:4], "little") < 40 or compression not in _UNCOMPRESSED:
        return int.from_bytes(data[2:6], "little") or len(data)
    width = int.from_bytes(header[4:8], "little")
    height = abs(int.from_bytes(header[8:12], "little", signed=True))
    bits = int.from_bytes(header[14:16], "little")
    # Rows are filled up to four bytes.
    return int.from_bytes(data[10:14], "little") + (width * bits + 31) // 32 * 4 * height


def _ends_within_tiff(data: bytes) -> bool:
    """Return whether a TIFF ends before its first picture's tags or samples do."""
    if ends_before_its_tags(data):
        return True
    # What Pillow cannot open is damaged in another way.
    with warnings.catch_warnings(action="ignore"), suppress(Exception):
        with open_image(data, ["TIFF"]) as image:
            tags = dict(getattr(image, "tag_v2", {}))
            ends = [start + length for start, length in stored_parts(tags)]
        return max(ends, default=0) > len(data)
    return False
