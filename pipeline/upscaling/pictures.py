"""Anyone's picture, with all that its enlargement has to keep: depth, alpha, frames, colours."""

import io
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms

from pipeline.images.decode import (
    ImageRefused,
    frame_count,
    in_srgb,
    opened,
    oriented,
    too_many_pixels,
)
from pipeline.images.quality import jpeg_of
from pipeline.upscaling.png16 import read_deep_png

Pixels = NDArray[np.uint8] | NDArray[np.uint16]
"""`(h, w, c)`: grey, grey and alpha, RGB, or RGB and alpha"""

MAX_PIXELS = 100_000_000
ORIENTATION = ExifTags.Base.Orientation
# Browsers show a frame that names no time, or next to none, for this long.
DEFAULT_MILLISECONDS = 100
PROFILE_SPACES = {1: "GRAY", 2: "GRAY", 3: "RGB", 4: "RGB"}


@dataclass(frozen=True)
class Picture:
    """One frame or more of one size and kind, upright."""

    frames: tuple[Pixels, ...]
    icc_profile: bytes | None = None
    dpi: tuple[float, float] | None = None
    milliseconds: tuple[int, ...] = ()
    """how long each frame of an animation is shown"""
    loops: int = 0
    """how often an animation is played; 0: for ever"""
    jpeg_quality: int | None = None
    """of the file that it was in, as `pipeline.images.quality` estimates it; None: no JPEG"""

    @property
    def animated(self) -> bool:
        """Whether there is more than one frame."""
        return len(self.frames) > 1

    @property
    def channels(self) -> int:
        """1 to 4, as of `Pixels`."""
        return int(self.frames[0].shape[2])

    @property
    def info(self) -> dict[str, Any]:
        """Profile and resolution, where there are, as Pillow calls them."""
        known = {"icc_profile": self.icc_profile, "dpi": self.dpi}
        return {name: value for name, value in known.items() if value is not None}

    @property
    def deep(self) -> bool:
        """Whether a channel has 16 bits."""
        return self.frames[0].dtype == np.uint16


def decode_picture(data: bytes, max_pixels: int = MAX_PIXELS) -> Picture:
    """Decode a file's bytes by their content, whatever it is called.

    16 bits stay 16, grey stays grey, palettes become RGB. A profile of the picture's own colour
    space is kept beside values that are not touched; CMYK, YCbCr and LAB become sRGB. Raises
    `ImageRefused`.
    """
    with opened(data, max_pixels) as image:
        if frame_count(image) > 1:
            return _animation(image, max_pixels)
        deep = _sixteen_bits(image, data)
        transparent = _scaled_transparency(image)
        image.load()
        image.info.update(transparent)
        if deep is None:
            jpeg = jpeg_of(image)
            return replace(from_image(image), jpeg_quality=jpeg.quality if jpeg else None)
        pixels = _without_full_alpha(deep)
        profile = _fitting(image.info.get("icc_profile"), pixels.shape[2])
        return Picture((pixels,), profile, _dpi(image))


def from_image(image: Image.Image) -> Picture:
    """One picture of Pillow's, whatever its mode. Raises `ImageRefused` for "I" and "F"."""
    profile = image.info.get("icc_profile")
    upright = oriented(image.copy())
    pixels = _without_full_alpha(_pixels(upright, profile))
    kept = profile if _keeps_values(upright.mode) else None
    return Picture((pixels,), _fitting(kept, pixels.shape[2]), _dpi(image))


def to_image(picture: Picture) -> Image.Image:
    """The first frame as an image of Pillow's, which has no colours of 16 bits."""
    pixels = picture.frames[0]
    if picture.deep and picture.channels > 1:
        raise ValueError("Pillow has no colours of 16 bits")
    image = Image.fromarray(pixels[..., 0] if picture.channels == 1 else pixels)
    image.info.update(picture.info)
    return image


def _sixteen_bits(image: Image.Image, data: bytes) -> NDArray[np.uint16] | None:
    """The pixels of a PNG with 16 bits a channel, upright; None: of another file."""
    if not any("16B" in raw for raw in _raw_modes(image)):
        return None
    pixels = read_deep_png(data, image.size)
    turned = image.getexif().get(ORIENTATION, 1)
    if turned == 1:
        return pixels
    height, width, channels = pixels.shape
    places = Image.fromarray(np.arange(height * width, dtype=np.int32).reshape(height, width))
    places.getexif()[ORIENTATION] = turned
    upright: NDArray[np.uint16] = pixels.reshape(-1, channels)[np.asarray(oriented(places))]
    return upright


def _scaled_transparency(image: Image.Image) -> dict[str | tuple[int, int], Any]:
    """The transparent grey of a PNG of 2 or 4 bits in 8, as which Pillow gives the pixels alone."""
    level = image.info.get("transparency")
    if isinstance(level, int):
        for bits in (2, 4):
            if f"L;{bits}" in _raw_modes(image):
                return {"transparency": level * 255 // (2**bits - 1)}
    return {}


def _raw_modes(image: Image.Image) -> list[str]:
    """How the pixels of a PNG lie in its file, before they are loaded."""
    tiles: Any = getattr(image, "tile", ())
    return [str(tile.args) for tile in tiles] if image.format == "PNG" else []


def _without_full_alpha(pixels: Pixels) -> Pixels:
    opaque = pixels.shape[2] in (2, 4) and (pixels[..., -1] == np.iinfo(pixels.dtype).max).all()
    return pixels[..., :-1] if opaque else pixels


def _pixels(image: Image.Image, profile: bytes | None) -> Pixels:
    """An image of any mode as `Pixels`."""
    if image.mode in ("I", "F"):
        raise ImageRefused("unsupported", f"mode {image.mode} does not tell which value is white")
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)[..., None]
    if image.mode in ("1", "L") and not image.has_transparency_data:
        return np.array(image.convert("L"))[..., None]
    if image.mode in ("L", "LA", "La"):
        return np.array(image.convert("LA"))
    if image.has_transparency_data:
        return np.array(image.convert("RGBA"))
    if not _keeps_values(image.mode):
        image = in_srgb(image, profile)
    return np.array(image.convert("RGB"))


def _keeps_values(mode: str) -> bool:
    return mode not in ("CMYK", "YCbCr", "LAB", "HSV")


def _animation(image: Image.Image, max_pixels: int) -> Picture:
    frames: list[Pixels] = []
    milliseconds = []
    # An APNG may begin with a picture for those who cannot play it.
    first = 1 if getattr(image, "default_image", False) else 0
    for index in range(first, frame_count(image)):
        image.seek(index)
        # Pillow enlarges a GIF by a frame that reaches beyond what its header says.
        if image.width * image.height * frame_count(image) > max_pixels:
            raise too_many_pixels(image, max_pixels)
        image.load()
        milliseconds.append(round(image.info.get("duration", 0)) or DEFAULT_MILLISECONDS)
        frames.append(np.array(oriented(image.convert("RGBA"))))
    if all((frame[..., 3] == 255).all() for frame in frames):
        frames = [frame[..., :3] for frame in frames]
    profile = _fitting(image.info.get("icc_profile"), 3)
    loops = int(image.info.get("loop", 1 if image.format == "GIF" else 0))
    # A GIF tells how often it is repeated, or nothing when it is not; others, how often it runs.
    if image.format == "GIF" and "loop" in image.info and loops:
        loops += 1
    return Picture(tuple(frames), profile, _dpi(image), tuple(milliseconds), loops)


def _fitting(profile: object, channels: int) -> bytes | None:
    """`profile`, where it can be read and speaks of pictures with that many channels."""
    if not isinstance(profile, bytes):
        return None
    try:
        opened_profile = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = opened_profile.profile.xcolor_space.strip()
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    return profile if space == PROFILE_SPACES[channels] else None


def _dpi(image: Image.Image) -> tuple[float, float] | None:
    dpi: Any = image.info.get("dpi")
    try:
        horizontal, vertical = (float(value) for value in dpi)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    sound = 0 < horizontal < 1e5 and 0 < vertical < 1e5
    return (horizontal, vertical) if sound else None
