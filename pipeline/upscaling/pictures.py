"""Pictures in memory, with what an enlargement keeps: bit depth, alpha, frames, profile."""

import io
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms

from pipeline.images.decode import (
    ImageRefused,
    decoding,
    frame_count,
    in_srgb,
    opened,
    oriented,
    too_many_pixels,
)
from pipeline.images.jpeg_traces import traced_jpeg_quality
from pipeline.images.quality import jpeg_of
from pipeline.images.webp_quality import webp_quantiser
from pipeline.upscaling.gif_loops import plays_of_gif
from pipeline.upscaling.png16 import read_png16

Pixels = NDArray[np.uint8] | NDArray[np.uint16]
"""`(h, w, c)`: grey, grey and alpha, RGB, or RGB and alpha"""

MAX_PIXELS = 100_000_000
ORIENTATION = ExifTags.Base.Orientation
DEFAULT_DURATION_MS = 100
"""How long browsers show a frame whose duration is 0 or missing."""
COLOUR_SPACES = {1: "GRAY", 2: "GRAY", 3: "RGB", 4: "RGB"}


@dataclass(frozen=True)
class Picture:
    """One frame or more of one size, depth and number of channels, turned upright."""

    frames: tuple[Pixels, ...]
    icc_profile: bytes | None = None
    dpi: tuple[float, float] | None = None
    frame_durations_ms: tuple[int, ...] = ()
    """how long each frame of an animation is shown"""
    loops: int = 0
    """how often an animation is played; 0: for ever"""
    jpeg_quality: int | None = None
    """estimated from the file by `pipeline.images.quality`; None: no JPEG"""
    webp_quantiser: int | None = None
    """how hard a WebP was compressed, by `pipeline.images.webp_quality`; None: without loss"""

    @property
    def animated(self) -> bool:
        """Whether there is more than one frame."""
        return len(self.frames) > 1

    @property
    def channels(self) -> int:
        """1 to 4, as of `Pixels`."""
        return int(self.frames[0].shape[2])

    @property
    def has_alpha(self) -> bool:
        """Whether the last channel is alpha."""
        return has_alpha(self.channels)

    @cached_property
    def traced_jpeg_quality(self) -> int | None:
        """Quality of the JPEG that a lossless file's pixels were decoded from; None: no traces.

        Of animations and of 16 bits None.
        """
        if self.animated or self.has_16_bits:
            return None
        return traced_jpeg_quality(self.frames[0].astype(np.uint8, copy=False))

    @property
    def pil_info(self) -> dict[str, Any]:
        """Profile and resolution, if present, as Pillow's `save` takes them."""
        info = {"icc_profile": self.icc_profile, "dpi": self.dpi}
        return {name: value for name, value in info.items() if value is not None}

    @property
    def has_16_bits(self) -> bool:
        """Whether channels have 16 bits, not 8."""
        return self.frames[0].dtype == np.uint16


def has_alpha(channels: int) -> bool:
    """Return whether the last of 1 to 4 channels is alpha, as of `Pixels`."""
    return channels in (2, 4)


def decode_picture(data: bytes, max_pixels: int = MAX_PIXELS) -> Picture:
    """Decode the bytes of a file; its format is recognised by its content.

    Depth and grey are kept, palettes become RGB. Values whose colour space the profile describes
    stay as they are, and keep the profile; CMYK, YCbCr and LAB become sRGB. Raises `ImageRefused`.
    """
    with opened(data, max_pixels) as image, decoding():
        quantiser = webp_quantiser(data) if image.format == "WEBP" else None
        if frame_count(image) > 1:
            return replace(_read_animation(image, max_pixels), webp_quantiser=quantiser)
        pixels16 = _read_16_bits(image, data)
        transparency = _scaled_transparency(image)
        image.load()
        image.info.update(transparency)
        if pixels16 is None:
            jpeg = jpeg_of(image)
            quality = jpeg.quality if jpeg else None
            return replace(from_pil(image), jpeg_quality=quality, webp_quantiser=quantiser)
        pixels = _drop_opaque_alpha(pixels16)
        profile = _matching_profile(image.info.get("icc_profile"), pixels.shape[2])
        return Picture((pixels,), profile, _dpi(image))


def from_pil(image: Image.Image) -> Picture:
    """Convert a PIL image of any mode. Raises `ImageRefused` for "I" and "F"."""
    profile = image.info.get("icc_profile")
    upright = oriented(image.copy())
    pixels = _drop_opaque_alpha(_pixels(upright, profile))
    # `_pixels` has converted other modes to sRGB by this profile.
    still_valid = profile if _is_grey_or_rgb(upright.mode) else None
    return Picture((pixels,), _matching_profile(still_valid, pixels.shape[2]), _dpi(image))


def to_pil(picture: Picture) -> Image.Image:
    """Convert the first frame to a PIL image. Raises `ValueError` for colours of 16 bits."""
    pixels = picture.frames[0]
    if picture.has_16_bits and picture.channels > 1:
        raise ValueError("Pillow has no colours of 16 bits")
    image = Image.fromarray(pixels[..., 0] if picture.channels == 1 else pixels)
    image.info.update(picture.pil_info)
    return image


def _read_16_bits(image: Image.Image, data: bytes) -> NDArray[np.uint16] | None:
    """Read a PNG with 16 bits per channel, turned upright. Returns None for other files."""
    if not any("16B" in raw for raw in _raw_modes(image)):
        return None
    pixels = read_png16(data, image.size)
    orientation = image.getexif().get(ORIENTATION, 1)
    if orientation == 1:
        return pixels
    # Pillow turns no colours of 16 bits: it turns the indices of the pixels instead.
    height, width, channels = pixels.shape
    indices = Image.fromarray(np.arange(height * width, dtype=np.int32).reshape(height, width))
    indices.getexif()[ORIENTATION] = orientation
    upright: NDArray[np.uint16] = pixels.reshape(-1, channels)[np.asarray(oriented(indices))]
    return upright


def _scaled_transparency(image: Image.Image) -> dict[str | tuple[int, int], Any]:
    """Return the transparent grey of a PNG of 2 or 4 bits, scaled to 8 as Pillow scales pixels."""
    level = image.info.get("transparency")
    if isinstance(level, int):
        for bits in (2, 4):
            if f"L;{bits}" in _raw_modes(image):
                return {"transparency": level * 255 // (2**bits - 1)}
    return {}


def _raw_modes(image: Image.Image) -> list[str]:
    """Return the raw modes of a PNG's pixels, which Pillow knows until it loads them."""
    tiles: Any = getattr(image, "tile", ())
    return [str(tile.args) for tile in tiles] if image.format == "PNG" else []


def _drop_opaque_alpha(pixels: Pixels) -> Pixels:
    opaque = has_alpha(pixels.shape[2]) and (pixels[..., -1] == np.iinfo(pixels.dtype).max).all()
    return pixels[..., :-1] if opaque else pixels


def _pixels(image: Image.Image, profile: bytes | None) -> Pixels:
    """Convert an image of any mode to `Pixels`."""
    if image.mode in ("I", "F"):
        raise ImageRefused("unsupported", f"mode {image.mode} does not define the value of white")
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)[..., None]
    if image.mode in ("1", "L") and not image.has_transparency_data:
        return np.array(image.convert("L"))[..., None]
    if image.mode in ("L", "LA", "La"):
        return np.array(image.convert("LA"))
    if image.has_transparency_data:
        return np.array(image.convert("RGBA"))
    if not _is_grey_or_rgb(image.mode):
        image = in_srgb(image, profile)
    return np.array(image.convert("RGB"))


def _is_grey_or_rgb(mode: str) -> bool:
    return mode not in ("CMYK", "YCbCr", "LAB", "HSV")


def _read_animation(image: Image.Image, max_pixels: int) -> Picture:
    frames: list[Pixels] = []
    durations_ms = []
    # An APNG may begin with a still picture for programs that play none.
    first = 1 if getattr(image, "default_image", False) else 0
    for index in range(first, frame_count(image)):
        image.seek(index)
        # Pillow enlarges a GIF by a frame that reaches beyond the size in its header.
        if image.width * image.height * frame_count(image) > max_pixels:
            raise too_many_pixels(image, max_pixels)
        image.load()
        durations_ms.append(round(image.info.get("duration", 0)) or DEFAULT_DURATION_MS)
        frames.append(np.array(oriented(image.convert("RGBA"))))
    if all((frame[..., 3] == 255).all() for frame in frames):
        frames = [frame[..., :3] for frame in frames]
    profile = _matching_profile(image.info.get("icc_profile"), 3)
    return Picture(tuple(frames), profile, _dpi(image), tuple(durations_ms), _plays(image))


def _plays(image: Image.Image) -> int:
    """Return how often an animation is played; 0: for ever."""
    field = image.info.get("loop")
    if image.format == "GIF":
        return plays_of_gif(None if field is None else int(field))
    return int(field or 0)


def _matching_profile(profile: object, channels: int) -> bytes | None:
    """Return `profile` if it is readable and for pictures with that many channels, else None."""
    if not isinstance(profile, bytes):
        return None
    try:
        opened_profile = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = opened_profile.profile.xcolor_space.strip()
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    return profile if space == COLOUR_SPACES[channels] else None


def _dpi(image: Image.Image) -> tuple[float, float] | None:
    dpi: Any = image.info.get("dpi")
    try:
        horizontal, vertical = (float(value) for value in dpi)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    plausible = 0 < horizontal < 1e5 and 0 < vertical < 1e5
    return (horizontal, vertical) if plausible else None
