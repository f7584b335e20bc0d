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
PICTURE_SUFFIXES = {
    *(".png", ".apng"),
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    *(".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff", ".avif", ".avifs"),
    *(".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"),
}
"""Suffixes of the formats that are read; a file that is named, or that holds one, may have any."""
