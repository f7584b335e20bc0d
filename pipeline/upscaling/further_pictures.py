"""Pictures of a file beside the one that is read: further pages, and files joined to the first."""

from collections.abc import Iterator
from contextlib import suppress

from pipeline.images.decode import ImageRefused, decoding
from pipeline.images.jpeg_segments import segments
from pipeline.images.opening import open_image
from pipeline.images.recognition import HEAD_BYTES, readable_format, unread_format
from pipeline.upscaling.gif_blocks import TRAILER, gif_blocks

_PADDING = b"\0\r\n "
_MAX_PADDING = 65_536


def further_pictures(data: bytes) -> str | None:
    """Say which pictures follow the first one in a file's bytes; None where none was found."""
    format = readable_format(data[:HEAD_BYTES])
    if format == "TIFF":
        pages = _tiff_pages(data)
        return f"holds {pages} pictures; only the first is enlarged" if pages > 1 else None
    if any(_begins_picture(data, end) for end in _ends(data, format)):
        return "another picture follows the first; only the first is enlarged"
    return None


def _tiff_pages(data: bytes) -> int:
    with suppress(ImageRefused), decoding(), open_image(data, ["TIFF"]) as image:
        return int(getattr(image, "n_frames", 1))
    return 1


def _begins_picture(data: bytes, position: int) -> bool:
    """Return whether a picture begins at `position`, or after padding there."""
    rest = data[position : position + _MAX_PADDING]
    padding = len(rest) - len(rest.lstrip(_PADDING))
    # A box begins with its length, four bytes that look like padding.
    starts = [start for start in (0, padding - 4, padding - 3, padding) if start >= 0]
    heads = (rest[start : start + HEAD_BYTES] for start in starts)
    return any(readable_format(head) or unread_format("", head) for head in heads)


def _ends(data: bytes, format: str | None) -> Iterator[int]:
    """Yield the offsets at which the first picture may end; none where its format has no end."""
    if format == "JPEG":
        end = max((segment.data_end for segment in segments(data)), default=len(data))
        yield end + 2
    elif format == "PNG":
        yield _png_end(data)
    elif format == "GIF":
        yield _gif_end(data)
    elif format == "WEBP":
        size = int.from_bytes(data[4:8], "little")
        yield 8 + size + size % 2
    elif format == "BMP":
        yield int.from_bytes(data[2:6], "little") or len(data)
    elif format in ("AVIF", "JPEG2000") and data[:1] == b"\0":
        yield from _box_starts(data)


def _png_end(data: bytes) -> int:
    position = 8
    while position + 8 <= len(data):
        name = data[position + 4 : position + 8]
        position += 12 + int.from_bytes(data[position : position + 4])
        if name == b"IEND":
            return position
    return len(data)


def _gif_end(data: bytes) -> int:
    """Return where the trailer of a GIF ends."""
    return next((end for kind, _, end in gif_blocks(data) if kind == TRAILER), len(data))


def _box_starts(data: bytes) -> Iterator[int]:
    """Yield the start of each box of an ISO base media file, but for the first."""
    position = 0
    while position + 8 <= len(data):
        size = int.from_bytes(data[position : position + 4])
        if size == 1:
            size = int.from_bytes(data[position + 8 : position + 16])
        if size < 8:
            return
        position += size
        yield position
