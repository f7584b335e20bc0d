"""Suffixes of picture files, and the formats that they name."""

_SUFFIXES = {
    "PNG": (".png", ".apng"),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "WEBP": (".webp",),
    "GIF": (".gif",),
    "BMP": (".bmp",),
    "DIB": (".dib",),
    "TIFF": (".tif", ".tiff"),
    "AVIF": (".avif", ".avifs"),
    "JPEG2000": (".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"),
}
SUFFIX_BY_FORMAT = {format: suffixes[0] for format, suffixes in _SUFFIXES.items()}
"""The usual suffix of each format that is read"""
FORMAT_BY_SUFFIX = {suffix: name for name, suffixes in _SUFFIXES.items() for suffix in suffixes}
PICTURE_SUFFIXES = frozenset(FORMAT_BY_SUFFIX)
"""Suffixes of the formats that are read; a file that is named, or that holds one, may have any."""


def fitting_suffix(suffix: str, format: str) -> str:
    """Return a file's suffix, in lower case; the usual one of `format` where it names another."""
    named = FORMAT_BY_SUFFIX.get(suffix.lower())
    return suffix.lower() if named == format else SUFFIX_BY_FORMAT[format]
