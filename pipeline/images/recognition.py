"""Recognises files of pictures by their first bytes, those that cannot be read by name too."""

from pathlib import Path

from PIL import Image

from pipeline.images.opening import FORMATS

HEAD_BYTES = 64
CAMERA_RAW = "camera raw"
_UNREAD_SUFFIXES = {
    "HEIC": (".heic", ".heif", ".hif"),
    "JPEG XL": (".jxl",),
    "Photoshop": (".psd", ".psb"),
    "TGA": (".tga",),
    "DDS": (".dds",),
    "ICO": (".ico", ".cur"),
    "QOI": (".qoi",),
    "Netpbm": (".ppm", ".pgm", ".pbm", ".pnm", ".pam"),
    "OpenEXR": (".exr",),
    "Radiance HDR": (".hdr",),
    "SVG": (".svg", ".svgz"),
    "GIMP": (".xcf",),
    "Krita": (".kra",),
    "Clip Studio": (".clip",),
    CAMERA_RAW: (".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".raf", ".rw2", ".pef", ".srw"),
}
_UNREAD_BY_SUFFIX = {suffix: name for name, group in _UNREAD_SUFFIXES.items() for suffix in group}
_UNREAD_BY_START = {
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL \r\n\x87\n": "JPEG XL",
    b"8BPS": "Photoshop",
    b"DDS ": "DDS",
    b"qoif": "QOI",
    b"\x76\x2f\x31\x01": "OpenEXR",
}
# Brands of ISO/IEC 23008-12; a file of AVIF may have the same major brand, "mif1".
_HEIC_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis"}
_AVIF_BRANDS = {b"avif", b"avis"}
_DIB_HEADER_BYTES = (12, 40, 52, 56, 64, 108, 124)


def read_head(path: Path) -> bytes:
    """Return the first bytes of a file, as the functions here take them. Raises `OSError`."""
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def readable_format(head: bytes) -> str | None:
    """Return the format, one of those of `decode`, of a file that begins with `head`; else None."""
    if not head or _is_heic(head):
        return None
    # A DIB has no signature but the size of its header.
    names = (name for name in FORMATS if name != "DIB")
    return next((name for name in names if _accepts(name, head)), None)


def may_be_picture(head: bytes) -> bool:
    """Return whether a file that begins with `head` may be decoded, DIB without signature too."""
    header_bytes = int.from_bytes(head[:4], "little")
    return readable_format(head) is not None or header_bytes in _DIB_HEADER_BYTES


def unread_format(suffix: str, head: bytes) -> str | None:
    """Return the name of a picture's format that is not read, by content or suffix; else None.

    A camera's file begins as a TIFF, whose only picture may be a thumbnail.
    """
    by_name = _UNREAD_BY_SUFFIX.get(suffix.lower())
    if (readable := readable_format(head)) is not None:
        return by_name if (by_name, readable) == (CAMERA_RAW, "TIFF") else None
    if _is_heic(head):
        return "HEIC"
    starts = (known for start, known in _UNREAD_BY_START.items() if head.startswith(start))
    return next(starts, by_name)


def unread_text(suffix: str, head: bytes) -> str | None:
    """Return the message for a picture of a format that is not read, as `unread_format` knows it.

    None for other files.
    """
    unread = unread_format(suffix, head)
    return None if unread is None else f"{unread} is not read; convert it to PNG"


def _accepts(name: str, head: bytes) -> bool:
    """Return whether Pillow takes a file that begins with `head` for one of the format `name`."""
    Image.preinit()
    if name not in Image.OPEN:
        # All other formats, which take memory that a scrape of JPEGs and PNGs does without.
        Image.init()
    accepts = Image.OPEN[name][1] if name in Image.OPEN else None
    return accepts is not None and bool(accepts(head))


def _is_heic(head: bytes) -> bool:
    if head[4:8] != b"ftyp":
        return False
    end = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[at : at + 4] for at in range(8, end - 3, 4)}
    return bool(brands & _HEIC_BRANDS) and not brands & _AVIF_BRANDS
