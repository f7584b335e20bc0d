"""Decode pictures of any origin to 8-bit sRGB, strictly and safely."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import TILELENGTH, TILEWIDTH

from pipeline.images.damage import damage_of
from pipeline.images.jpeg_segments import scan_count
from pipeline.images.quality import Jpeg, jpeg_of
from pipeline.machine_errors import is_machine_fault

# The formats on boorus. Formats that run code or call other programs (EPS, PDF) are not among them.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "AVIF", "JPEG2000")
ANIMATED = ("GIF", "PNG", "WEBP", "AVIF")
# Each scan of a JPEG is decoded for every pixel: a file of 0.4 MB may occupy a decoder for a
# minute. A picture of `max_pixels` may have so many scans, a smaller one more.
SCANS_AT_MAX_PIXELS = 20
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


class ImageRefused(Exception):  # noqa: N818 - a verdict, not a fault
    """An original cannot be used: `reason` is a key to count by, `text` a message."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(reason, text)
        self.reason = reason
        self.text = text


@dataclass(frozen=True)
class Decoded:
    """An oriented, opaque sRGB image, `(H, W, 3) uint8`, and the true format of its file.

    `jpeg` is None for other formats.
    """

    pixels: NDArray[np.uint8]
    format: str
    jpeg: Jpeg | None


def decode(data: bytes, max_pixels: int, background: str) -> Decoded:
    """Decode a file's bytes by their content; its name does not matter.

    EXIF orientation is applied, an embedded ICC profile converted to sRGB, transparency composited
    onto `background` (`#rrggbb`). Raises `ImageRefused` with one of the reasons "empty",
    "not_an_image", "animated", "too_many_pixels" (by the header, before a pixel is decoded),
    "unsupported" (values without a known white) and "damaged"; `MemoryError` and `OSError` with an
    error number where the machine fails. Pillow warns of damaged metadata.
    """
    with opened(data, max_pixels) as image:
        if frame_count(image) > 1:
            raise ImageRefused("animated", f"{frame_count(image)} frames")
        with decoding():
            image.load()
        format, jpeg = _format(image), jpeg_of(image)
        if damage := damage_of(data, format):
            raise ImageRefused("damaged", damage)
        with decoding():
            pixels = np.array(_to_rgb(oriented(image), background))
        return Decoded(pixels, format, jpeg)


@contextmanager
def opened(data: bytes, max_pixels: int) -> Iterator[Image.Image]:
    """Open a file's bytes by their content; the block decodes them, inside `decoding`.

    Raises `ImageRefused` with the reasons that `decode` names. The pixels of all frames count.
    Errors of the machine are raised unchanged.
    """
    if not data:
        raise ImageRefused("empty", "the file has no bytes")
    with decoding():
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    with image:
        with decoding():
            frames, tile = frame_count(image), _tile_pixels(image)
        width, height = image.size
        if width * height * frames > max_pixels:
            raise too_many_pixels(image, max_pixels)
        if tile > max_pixels:
            raise ImageRefused(
                "too_many_pixels", f"a tile of {tile} pixels has more than {max_pixels}"
            )
        scans = scan_count(data) if _format(image) == "JPEG" else 1
        if width * height * scans > max_pixels * SCANS_AT_MAX_PIXELS:
            raise ImageRefused(
                "too_many_pixels",
                f"{scans} scans of {width}×{height} are more than {max_pixels} pixels allow",
            )
        yield image


@contextmanager
def decoding() -> Iterator[None]:
    """Raise `ImageRefused`, as `decode` does, for whatever a decoder raises in the block.

    Errors of the machine are raised unchanged.
    """
    try:
        yield
    except ImageRefused:
        raise
    except UnidentifiedImageError:
        raise ImageRefused("not_an_image", "no image of a known format") from None
    except Image.DecompressionBombError as error:
        raise ImageRefused("too_many_pixels", _one_line(error)) from None
    except Exception as error:  # damaged bytes make decoders raise nearly anything
        if is_machine_fault(error):
            raise
        raise ImageRefused("damaged", _one_line(error)) from None


def frame_count(image: Image.Image) -> int:
    """Return the number of frames of an animation; in other formats only the first counts."""
    return getattr(image, "n_frames", 1) if image.format in ANIMATED else 1


def _tile_pixels(image: Image.Image) -> int:
    """Return the pixels of a TIFF's tile, which is decoded in full and may exceed the picture."""
    tags = getattr(image, "tag_v2", {})
    return int(tags.get(TILEWIDTH, 0)) * int(tags.get(TILELENGTH, 0))


def too_many_pixels(image: Image.Image, max_pixels: int) -> ImageRefused:
    """Return the error for a picture of more than `max_pixels`, all its frames together."""
    frames = frame_count(image)
    size = f"{image.width}×{image.height}"
    extent = size if frames == 1 else f"{frames} frames of {size}"
    return ImageRefused("too_many_pixels", f"{extent} are more than {max_pixels} pixels")


def _format(image: Image.Image) -> str:
    return "JPEG" if image.format == "MPO" else str(image.format)


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


def _to_rgb(image: Image.Image, background: str) -> Image.Image:
    """Convert `image` of any mode to opaque RGB."""
    profile = image.info.get("icc_profile")
    if image.mode in ("I", "F"):
        raise ImageRefused("unsupported", f"mode {image.mode} does not define which value is white")
    if image.mode.startswith("I;16"):
        image = _eight_bits(image)
    if image.has_transparency_data:
        image = in_srgb(image.convert("RGBA"), profile)
        below = Image.new("RGBA", image.size, background)
        return Image.alpha_composite(below, image).convert("RGB")
    if image.mode not in ("L", "RGB", "CMYK", "LAB"):
        image = image.convert("RGB")
    image = in_srgb(image, profile)
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Convert a 16-bit greyscale image to 8 bits; Pillow's own conversion would clip it."""
    grey = np.asarray(image).astype(np.uint32)
    eight = Image.fromarray(((grey + 128) // 257).astype(np.uint8), "L")
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        alpha = np.where(grey == transparent, 0, 255).astype(np.uint8)
        eight.putalpha(Image.fromarray(alpha, "L"))
    return eight


def in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert `image` (L, RGB, RGBA, CMYK or LAB) to sRGB by its embedded profile.

    A broken profile, or one of another colour space than the image's, is ignored.
    """
    if not profile or (image.mode in ("RGB", "RGBA") and _is_srgb(profile)):
        return image
    return _converted(image, profile)


def _converted(image: Image.Image, profile: bytes) -> Image.Image:
    mode = "RGBA" if image.mode == "RGBA" else "RGB"
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return cast(Image.Image, ImageCms.profileToProfile(image, source, SRGB, outputMode=mode))
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image


@lru_cache(maxsize=16)
def _is_srgb(profile: bytes) -> bool:
    """Return whether a profile changes no colour by more than one level."""
    levels = np.arange(0, 256, 15, dtype=np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(len(levels), -1, 3)
    converted = np.asarray(_converted(Image.fromarray(colours), profile))
    return bool(np.abs(converted.astype(int) - colours).max() <= 1)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
