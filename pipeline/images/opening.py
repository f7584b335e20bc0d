"""Files opened by Pillow, with what they say of their colours wherever they say it."""

import io
from pathlib import Path

from PIL import Image, ImageFile, UnidentifiedImageError

from pipeline.images.png_chunks import SIGNATURE, read_png
from pipeline.images.skipped_colours import avif_cicp, bmp_profile, jpeg2000_profile
from pipeline.images.tiff_samples import readable_tiff
from pipeline.images.unsupported import UnsupportedImageError

# The formats on boorus. Formats that run code or call other programs (EPS, PDF) are not among them.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "AVIF", "JPEG2000")

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
Formats = list[str] | tuple[str, ...]


def open_image(data: bytes, formats: Formats = FORMATS) -> ImageFile.ImageFile:
    """Open a file's bytes by their content, if it is one of `formats`; no pixel is decoded.

    In the image's `info` "icc_profile" is the profile of its colours, also where the file has none
    but says as much in another way: by PNG's chunks cICP, gAMA and cHRM, or AVIF's box nclx.
    "cicp" is there for colours that no profile describes (`Cicp`). A PNG's text is "png_text",
    as `read_png` returns it. Raises `UnsupportedImageError`, and whatever Pillow does.
    """
    if data.startswith(SIGNATURE):
        pixels_only, info = read_png(data)
        image = Image.open(io.BytesIO(pixels_only), formats=formats)
        image.info.update(info)
        return image
    try:
        image = Image.open(io.BytesIO(data), formats=formats)
    except UnidentifiedImageError:
        if not data.startswith(_TIFF) or "TIFF" not in formats:
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
