"""Files opened by Pillow, with what they say of their colours wherever they say it."""

import io

from PIL import Image, ImageFile

from pipeline.images.box_colours import avif_cicp, jpeg2000_profile
from pipeline.images.png_chunks import SIGNATURE, read_png

# The formats on boorus. Formats that run code or call other programs (EPS, PDF) are not among them.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000")


def open_image(data: bytes) -> ImageFile.ImageFile:
    """Open a file's bytes by their content; no pixel is decoded.

    In the image's `info` "icc_profile" is the profile of its colours, also where the file has none
    but says as much in another way: by PNG's chunks cICP, gAMA and cHRM, or AVIF's box nclx.
    "cicp" is there for colours that no profile describes (`Cicp`). A PNG's text is "png_text",
    as `read_png` returns it. Raises whatever Pillow does.
    """
    if data.startswith(SIGNATURE):
        pixels_only, info = read_png(data)
        image = Image.open(io.BytesIO(pixels_only), formats=("PNG",))
        image.info.update(info)
        return image
    image = Image.open(io.BytesIO(data), formats=FORMATS)
    if image.info.get("icc_profile"):
        return image
    if image.format == "JPEG2000":
        image.info["icc_profile"] = jpeg2000_profile(data)
    if image.format == "AVIF" and (cicp := avif_cicp(data)):
        image.info.update(cicp.info(grey=image.mode == "L"))
    return image
