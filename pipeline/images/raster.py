"""Pixels of any file, upright, with the profile of their colours: one reader for all stages."""

import io
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageFile, ImageOps

from pipeline.images.cicp import Cicp
from pipeline.images.deep_pixels import Deep, eight_bits, read_deep, turned
from pipeline.images.icc_profiles import profile_space
from pipeline.images.opening import orientation_of
from pipeline.images.unsupported import UnsupportedImageError
from pipeline.machine_errors import is_machine_fault

Pixels = NDArray[np.uint8] | NDArray[np.uint16]
"""`(h, w, c)`: grey, grey and alpha, RGB, or RGB and alpha"""

Colour = tuple[int, int, int]
"""Levels of red, green and blue, 0 to 255"""

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
LAB = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))


@dataclass(frozen=True)
class Raster:
    """Pixels and what their values mean: sRGB, unless there is a profile or are codes."""

    pixels: Pixels
    profile: bytes | None = None
    cicp: Cicp | None = None


def has_alpha(channels: int) -> bool:
    """Return whether the last of 1 to 4 channels is alpha, as of `Pixels`."""
    return channels in (2, 4)


def read_raster(image: Image.Image, data: bytes | None = None) -> Raster:
    """Read an image of any mode. `data`: the file that it was opened from, if it is not loaded.

    With `data` the 16 bits of PNG and TIFF are read. Palettes become RGB; CMYK, YCbCr and LAB
    become sRGB; alpha that hides nothing is left out. Turns `image` upright. Raises
    `UnsupportedImageError`, and whatever Pillow does.
    """
    transparency = _scaled_transparency(image)
    deep = None
    if data is not None and isinstance(image, ImageFile.ImageFile):
        deep = read_deep(image, data)
    image.load()
    image.info.update(transparency)
    profile, cicp = image.info.get("icc_profile"), image.info.get("cicp")
    if deep is not None:
        pixels: Pixels = _turned(deep, image)
    else:
        upright = oriented(image)
        if upright.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
            upright, profile = in_srgb(upright, profile).convert("RGB"), None
        pixels = _pixels(upright)
    pixels = _drop_opaque_alpha(pixels)
    if profile is None:
        return Raster(pixels, None, cicp)
    return fit_profile(pixels, profile)


def fit_profile(pixels: Pixels, profile: bytes) -> Raster:
    """Return pixels and a profile of their colour space: as browsers see them.

    Grey with a profile for RGB becomes RGB, unless that is the profile of sRGB. RGB with a profile
    for grey has none, nor has anything with a profile that cannot be read.
    """
    space, grey = profile_space(profile), pixels.shape[2] < 3
    if space != "RGB" and not (space == "GRAY" and grey):
        return Raster(pixels)
    if space == "RGB" and grey:
        if is_srgb(profile):
            return Raster(pixels)
        pixels = pixels[..., [0, 0, 0, *range(1, pixels.shape[2])]]
    return Raster(pixels, profile)


def srgb_image(raster: Raster) -> Image.Image:
    """Return an image L, LA, RGB or RGBA of 8 bits, in sRGB, of a raster without codes."""
    pixels = eight_bits(raster.pixels)
    return in_srgb(
        Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels), raster.profile
    )


def in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert `image` (L, LA, RGB, RGBA, CMYK or LAB) to sRGB by its embedded profile.

    Grey stays grey. A broken profile, or one of another colour space than the image's, is ignored.
    """
    if image.mode == "LAB":
        return _converted(image, LAB, "RGB")
    if not profile or (image.mode in ("RGB", "RGBA") and is_srgb(profile)):
        return image
    if image.mode in ("L", "LA"):
        grey, *alpha = image.split()
        return Image.merge(image.mode, (grey.point(_grey_levels(profile)), *alpha))
    return _converted(image, _opened_profile(profile), "RGBA" if image.mode == "RGBA" else "RGB")


def colour_in(profile: bytes, colour: Colour, mode: str) -> tuple[int, ...] | None:
    """Return what shows an sRGB colour in a picture with that profile, L or RGB of 8 bits.

    None where the profile leads from its colours only, as those of scanners.
    """
    if mode == "RGB" and is_srgb(profile):
        return colour
    exact = ImageCms.Flags.NOOPTIMIZE
    one = Image.new("RGB", (1, 1), colour)
    try:
        target = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        result = ImageCms.profileToProfile(one, SRGB, target, outputMode=mode, flags=exact)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    return tuple(map(int, np.asarray(result).ravel()))


def _opened_profile(profile: bytes) -> ImageCms.ImageCmsProfile | None:
    try:
        return ImageCms.ImageCmsProfile(io.BytesIO(profile))
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


def _converted(
    image: Image.Image,
    source: ImageCms.ImageCmsProfile | None,
    mode: str,
    flags: ImageCms.Flags = ImageCms.Flags.NONE,
) -> Image.Image:
    """Convert to sRGB in `mode`; `image` itself where that fails."""
    if source is None:
        return image
    try:
        converted = ImageCms.profileToProfile(image, source, SRGB, outputMode=mode, flags=flags)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image
    return cast(Image.Image, converted)


@lru_cache(maxsize=16)
def _grey_levels(profile: bytes) -> list[int]:
    """Return the level in sRGB of each level of grey.

    LittleCMS interpolates between few of them where it converts a whole picture.
    """
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    exact = ImageCms.Flags.NOOPTIMIZE
    levels = np.asarray(_converted(ramp, _opened_profile(profile), "RGB", exact).convert("RGB"))
    return [int(level) for level in levels[0, :, 1]]


@lru_cache(maxsize=16)
def is_srgb(profile: bytes) -> bool:
    """Return whether a profile for RGB changes no colour by more than one level."""
    levels = np.arange(0, 256, 15, dtype=np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(len(levels), -1, 3)
    converted = _converted(Image.fromarray(colours), _opened_profile(profile), "RGB")
    return bool(np.abs(np.asarray(converted).astype(int) - colours).max() <= 1)


def oriented(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation of `image`, in place, and return it.

    Damaged EXIF is ignored. Errors of the machine are raised unchanged.
    """
    try:
        ImageOps.exif_transpose(image, in_place=True)
    except Exception as error:
        # Damaged EXIF has no orientation, but the picture may be undamaged.
        if is_machine_fault(error):
            raise
    return image


def _turned(pixels: Deep, image: Image.Image) -> Deep:
    """Turn the pixels of `image` upright, by its EXIF orientation."""
    return turned(pixels, orientation_of(image))


def _scaled_transparency(image: Image.Image) -> dict[str | tuple[int, int], Any]:
    """Return the transparent grey of a PNG of 2 or 4 bits, scaled to 8 as Pillow scales pixels."""
    level = image.info.get("transparency")
    if image.format == "PNG" and isinstance(level, int):
        rawmodes = [str(tile.args) for tile in getattr(image, "tile", ())]
        for bits in (2, 4):
            if f"L;{bits}" in rawmodes:
                return {"transparency": level * 255 // (2**bits - 1)}
    return {}


def _drop_opaque_alpha(pixels: Pixels) -> Pixels:
    white = np.iinfo(pixels.dtype).max
    if has_alpha(pixels.shape[2]) and (pixels[..., -1] == white).all():
        return pixels[..., :-1]
    return pixels


def _pixels(image: Image.Image) -> Pixels:
    """Convert a grey or RGB image, or one of a palette, to `Pixels`."""
    if image.mode in ("I", "F"):
        raise UnsupportedImageError(f"mode {image.mode} does not define the value of white")
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)[..., None]
    if image.mode in ("1", "L") and not image.has_transparency_data:
        return _as_mode(image, "L")[..., None]
    if image.mode in ("1", "L", "LA", "La"):
        return _as_mode(image, "LA")
    return _as_mode(image, "RGBA" if image.has_transparency_data else "RGB")


def _as_mode(image: Image.Image, mode: str) -> NDArray[np.uint8]:
    return np.array(image if image.mode == mode else image.convert(mode))
