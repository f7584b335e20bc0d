"""Decode pictures of any origin to 8-bit sRGB, strictly and safely."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError
from PIL.TiffImagePlugin import TILELENGTH, TILEWIDTH

from pipeline.images.damage import damage_of_decoded
from pipeline.images.deep_pixels import eight_bits
from pipeline.images.endings import end_of_picture
from pipeline.images.jpeg_segments import scan_count
from pipeline.images.opening import open_image
from pipeline.images.quality import Jpeg, jpeg_of
from pipeline.images.raster import Raster, read_raster, srgb_image
from pipeline.images.recognition import HEAD_BYTES, readable_format
from pipeline.images.unsupported import UnsupportedImageError
from pipeline.machine_errors import is_machine_fault

ANIMATED = ("GIF", "PNG", "WEBP", "AVIF")
# Each scan of a JPEG is decoded for every pixel: a file of 0.4 MB may occupy a decoder for a
# minute. A picture of `max_pixels` may have so many scans, a smaller one more.
SCANS_AT_MAX_PIXELS = 20
# What Pillow says of a TIFF that it has opened, but cannot decode.
_UNKNOWN_SAMPLES = "unknown raw mode for given image mode"
CUT_OFF = "ends too early; get it again"


class ImageRefused(Exception):  # noqa: N818 - a verdict, not a fault
    """An original cannot be used: `reason` is a key to count by, `text` a message.

    `extent`: what exceeds the caller's limit of pixels, as `text` names it.
    """

    def __init__(self, reason: str, text: str, extent: str | None = None) -> None:
        super().__init__(reason, text)
        self.reason = reason
        self.text = text
        self.extent = extent


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

    EXIF orientation is applied, colours are converted to sRGB by what the file says of them,
    transparency is composited onto `background` (`#rrggbb`). Raises `ImageRefused` with one of the
    reasons "empty", "not_an_image", "animated", "too_many_pixels" (by the header, before a pixel is
    decoded), "unsupported" (values without a known white, high dynamic range) and "damaged";
    `MemoryError` and `OSError` with an error number where the machine fails. Pillow warns of
    damaged metadata.
    """
    with opened(data, max_pixels) as image:
        if frame_count(image) > 1:
            raise ImageRefused("animated", f"{frame_count(image)} frames")
        raster, jpeg = whole_raster(image, data), jpeg_of(image)
        with decoding():
            pixels = opaque_srgb(raster, background)
        return Decoded(pixels, _format(image), jpeg)


def whole_raster(image: ImageFile.ImageFile, data: bytes) -> Raster:
    """Read an image that `opened` yields. Raises `ImageRefused` where `data` is damaged."""
    with decoding():
        raster = read_raster(image, data)
    if damage := damage_of_decoded(image, data):
        raise ImageRefused("damaged", damage)
    return raster


def opaque_srgb(raster: Raster, background: str) -> NDArray[np.uint8]:
    """Convert to `(H, W, 3)` of 8 bits, over `background`. Raises `UnsupportedImageError`."""
    if raster.cicp is not None:
        raise UnsupportedImageError(f"it has {raster.cicp.name}")
    if raster.profile is None and raster.pixels.shape[2] == 3:
        return eight_bits(raster.pixels)
    image = srgb_image(raster)
    if image.mode in ("LA", "RGBA"):
        below = Image.new("RGBA", image.size, background)
        image = Image.alpha_composite(below, image.convert("RGBA"))
    return np.array(image.convert("RGB"))


@contextmanager
def opened(data: bytes, max_pixels: int) -> Iterator[ImageFile.ImageFile]:
    """Open a file's bytes by their content; the block decodes them, inside `decoding`.

    Raises `ImageRefused` with the reasons that `decode` names. The pixels of all frames count.
    Errors of the machine are raised unchanged.
    """
    try:
        with _opened(data, max_pixels) as image:
            yield image
    except ImageRefused as refusal:
        format = readable_format(data[:HEAD_BYTES])
        if refusal.reason == "damaged" and end_of_picture(data, format) is None:
            raise ImageRefused("damaged", CUT_OFF) from None
        raise


@contextmanager
def _opened(data: bytes, max_pixels: int) -> Iterator[ImageFile.ImageFile]:
    if not data:
        raise ImageRefused("empty", "the file has no bytes")
    with _opening(data):
        image = open_image(data)
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
def _opening(data: bytes) -> Iterator[None]:
    """Raise `ImageRefused`, as `decoding` does; of a damaged header it names the format."""
    try:
        with decoding():
            yield
    except ImageRefused as refusal:
        format = readable_format(data[:HEAD_BYTES])
        if refusal.reason in ("not_an_image", "damaged") and format is not None:
            text = f"begins as {format}, but is damaged or cut off"
            raise ImageRefused("damaged", text) from None
        raise


@contextmanager
def decoding() -> Iterator[None]:
    """Raise `ImageRefused`, as `decode` does, for whatever a decoder raises in the block.

    Errors of the machine are raised unchanged.
    """
    try:
        yield
    except ImageRefused:
        raise
    except UnsupportedImageError as error:
        raise ImageRefused("unsupported", str(error)) from None
    except UnidentifiedImageError:
        raise ImageRefused("not_an_image", "no image of a known format") from None
    except Image.DecompressionBombError as error:
        raise ImageRefused("too_many_pixels", _one_line(error)) from None
    except Exception as error:  # damaged bytes make decoders raise nearly anything
        if is_machine_fault(error):
            raise
        # Pillow asserts, without a word, what damaged files have not.
        text = _one_line(error)
        if text == _UNKNOWN_SAMPLES:
            raise ImageRefused("unsupported", "a TIFF of samples that are not read") from None
        raise ImageRefused("damaged", f"is damaged ({text})" if text else "is damaged") from None


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
    return ImageRefused("too_many_pixels", f"{extent} are more than {max_pixels} pixels", extent)


def _format(image: Image.Image) -> str:
    return "JPEG" if image.format == "MPO" else str(image.format)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
