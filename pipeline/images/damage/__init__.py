"""Damage that decoders do not report: they fill what is missing with grey, or draw noise.

One module per format. Sectors that were never written are found by their zeros.
"""

from PIL import Image

from pipeline.images.damage.avif import avif_damage
from pipeline.images.damage.jpeg import is_whole_jpeg, jpeg_damage
from pipeline.images.damage.jpeg2000 import jpeg2000_damage
from pipeline.images.damage.png import png_damage
from pipeline.images.damage.tiff import tiff_damage
from pipeline.images.damage.webp import webp_damage

__all__ = ["check_decodes", "damage_of", "damage_of_decoded", "is_whole_jpeg"]

_CHECKS = {
    "JPEG": jpeg_damage,
    "MPO": jpeg_damage,
    "WEBP": webp_damage,
    "AVIF": avif_damage,
    "JPEG2000": jpeg2000_damage,
    "TIFF": tiff_damage,
}


def check_decodes(image: Image.Image, data: bytes) -> None:
    """Raise what Pillow does where `image`, opened from `data`, cannot be decoded, or `OSError`.

    Its pixels are not always loaded.
    """
    format = str(image.format)
    if _CHECKS.get(format) is jpeg_damage and is_whole_jpeg(data):
        return
    image.load()
    if damage := damage_of_decoded(image, data):
        raise OSError(damage)


def damage_of_decoded(image: Image.Image, data: bytes) -> str | None:
    """Describe the damage of an image, loaded from `data`, as `damage_of` does; a PNG's, too."""
    if image.format == "PNG" and getattr(image, "n_frames", 1) == 1:
        return png_damage(image, data)
    return damage_of(data, str(image.format))


def damage_of(data: bytes, format: str) -> str | None:
    """Describe the damage in a file that Pillow decoded as `format`; None where none was detected.

    Metadata, padding and whatever follows the picture do not matter. A JPEG of a kind that only
    other decoders read (arithmetic coding, 12 bits, lossless) is not checked. PNG needs no such
    check: its pixels carry a checksum that Pillow compares, unless rows are missing. In
    uncompressed pictures (BMP, TIFF) zeros are black, so nothing can be detected. Raises
    `MemoryError`.
    """
    check = _CHECKS.get(format)
    return check(data) if check else None
