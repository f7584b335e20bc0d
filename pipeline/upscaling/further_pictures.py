"""Pictures of a file beside the one that is read: further pages, and files joined to the first."""

from contextlib import suppress

from pipeline.images.decode import ImageRefused, decoding
from pipeline.images.iso_boxes import box_starts
from pipeline.images.opening import open_image
from pipeline.images.recognition import HEAD_BYTES, readable_format, unread_format

_PADDING = b"\0\r\n "
_MAX_PADDING = 65_536


def further_pictures(data: bytes, format: str | None, end: int | None) -> str | None:
    """Say which pictures follow the first one in a file's bytes; None where none was found.

    `end`: that of the first picture, as of `end_of_picture`.
    """
    if format == "TIFF":
        pages = _tiff_pages(data)
        return f"holds {pages} pictures; only the first is enlarged" if pages > 1 else None
    ends = [] if end is None else [end]
    if format in ("AVIF", "JPEG2000") and data[:1] == b"\0":
        # Any box may be the first of another file.
        ends = [*box_starts(data)]
    if any(_begins_picture(data, end) for end in ends):
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
