"""The formats in which pictures are read and written."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FileFormat:
    """A format of picture files."""

    suffixes: tuple[str, ...]
    mime_type: str
    max_side: int
    """largest width and height, pixels"""


FORMATS = {
    "png": FileFormat((".png",), "image/png", 2**31 - 1),
    "webp": FileFormat((".webp",), "image/webp", 16_383),
    "jpg": FileFormat((".jpg", ".jpeg"), "image/jpeg", 65_500),
    "gif": FileFormat((".gif",), "image/gif", 65_535),
}
FORMAT_BY_SUFFIX = {suffix: name for name, one in FORMATS.items() for suffix in one.suffixes}
