"""Files opened by Pillow, with what they say of their colours wherever they say it."""

import io
import re
from contextlib import suppress
from pathlib import Path

from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

from pipeline.images.png_chunks import SIGNATURE, read_png
from pipeline.images.skipped_colours import avif_cicp, bmp_profile, jpeg2000_profile
from pipeline.images.tiff_samples import ends_before_its_tags, readable_tiff
from pipeline.images.unsupported import UnsupportedImageError
from pipeline.machine_errors import is_machine_fault

# The formats on boorus. Formats that run code or call other programs (EPS, PDF) are not among them.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "AVIF", "JPEG2000")

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
Formats = list[str] | tuple[str, ...]

ORIENTATION = ExifTags.Base.Orientation
TRANSPOSED = (5, 6, 7, 8)
"""Numbers of EXIF's orientation that exchange width and height"""
XMP_ORIENTATION = re.compile(rb"""(tiff:Orientation(?:=["']|>))[0-9]""")


def open_image(data: bytes, formats: Formats = FORMATS) -> ImageFile.ImageFile:
    """Open a file's bytes by their content, if it is one of `formats`; no pixel is decoded.

    In the image's `info` "icc_profile" is the profile of its colours, also where the file has none
    but says as much in another way: by PNG's chunks cICP, gAMA and cHRM, or AVIF's box nclx.
    "cicp" is there for colours that no profile describes (`Cicp`). A PNG's text is "png_text",
    as `read_png` returns it. Of an orientation in XMP alone the picture is not turned, as browsers
    do. Raises `UnsupportedImageError`, and whatever Pillow does.
    """
    image = _open(data, formats)
    _set_upright_in_xmp(image)
    return image


def orientation_of(image: Image.Image) -> int:
    """Return the number of an image's orientation by EXIF, 1 for upright, without one too.

    Damaged EXIF has none. Errors of the machine are raised unchanged.
    """
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception as error:
        # The picture may be undamaged.
        if is_machine_fault(error):
            raise
    return 1


def _set_upright_in_xmp(image: ImageFile.ImageFile) -> None:
    """Let XMP say that the picture is upright: Pillow takes its orientation where EXIF has none."""
    xmp = image.info.get("xmp")
    if not isinstance(xmp, bytes) or not XMP_ORIENTATION.search(xmp):
        return
    image.info["xmp"] = XMP_ORIENTATION.sub(rb"\g<1>1", xmp)
    own = Image.Exif()
    with suppress(Exception):
        own.load(image.info.get("exif", b""))
        # Pillow has read both together, where it looked for the resolution.
        if image.format in ("JPEG", "MPO") and ORIENTATION not in own:
            image.getexif()[ORIENTATION] = 1


def _open(data: bytes, formats: Formats) -> ImageFile.ImageFile:
    if data.startswith(SIGNATURE):
        pixels_only, info = read_png(data)
        image = Image.open(io.BytesIO(pixels_only), formats=formats)
        image.info.update(info)
        return image
    try:
        image = Image.open(io.BytesIO(data), formats=formats)
    except UnidentifiedImageError:
        if not data.startswith(_TIFF) or "TIFF" not in formats or ends_before_its_tags(data):
            raise
        image = _open_unusual_tiff(data)
    if image.info.get("icc_profile"):
        return image
    if image.format == "JPEG2000":
        image.info["icc_profile"] = jpeg2000_profile(data)
    if image.format == "BMP":
        image.info["icc_profile"] = bmp_profile(data)
    if image.format == "AVIF" and (cicp := avif_cicp(data)):
        image.info.update(cicp.info(grey=image.mode == "L"))
    return image


def open_image_file(path: Path, formats: Formats = FORMATS) -> ImageFile.ImageFile:
    """Open a file as `open_image` does, without reading all of a large one that is no PNG."""
    with path.open("rb") as file:
        is_png = file.read(len(SIGNATURE)) == SIGNATURE
    return open_image(path.read_bytes(), formats) if is_png else Image.open(path, formats=formats)


def _open_unusual_tiff(data: bytes) -> ImageFile.ImageFile:
    """Open a TIFF that Pillow does not; its samples are to be read as "tiff_samples" says."""
    readable = readable_tiff(data)
    try:
        if readable is not None:
            image = Image.open(io.BytesIO(readable[0]), formats=("TIFF",))
            image.info["tiff_samples"] = readable[1]
            return image
    except UnidentifiedImageError:
        pass
    raise UnsupportedImageError(
        "a TIFF with a damaged header, or of other samples than grey or RGB of 8 or 16 bits"
    )
