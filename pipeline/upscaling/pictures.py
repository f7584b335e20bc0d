"""Pictures in memory, with what an enlargement keeps: bit depth, alpha, frames, profile."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from PIL import Image

from pipeline.images.avif_quality import Avif, avif_of
from pipeline.images.cicp import Cicp
from pipeline.images.damage import is_whole_jpeg
from pipeline.images.decode import (
    CUT_OFF,
    ImageRefused,
    decoding,
    frame_count,
    opened,
    too_many_pixels,
)
from pipeline.images.gif_blocks import plays_of_gif
from pipeline.images.icc_profiles import profile_space
from pipeline.images.jpeg_segments import EOI, lacks_end
from pipeline.images.jpeg_traces import traced_jpeg_quality
from pipeline.images.opening import open_image
from pipeline.images.quality import jpeg_of
from pipeline.images.raster import (
    Pixels,
    Raster,
    has_alpha,
    in_srgb,
    oriented,
    read_raster,
    srgb_image,
)
from pipeline.images.webp_quality import webp_quantiser
from pipeline.upscaling.frames import LazyFrames, changed
from pipeline.upscaling.metadata import NO_METADATA, Metadata, read_metadata
from pipeline.upscaling.notices import notices_of

MAX_PIXELS = 100_000_000
DEFAULT_DURATION_MS = 100
"""How long browsers show a frame whose duration is 0 or missing."""


@dataclass(frozen=True)
class Picture:
    """One frame or more of one size, depth and number of channels, turned upright."""

    frames: Sequence[Pixels]
    """those of a decoded animation are decoded when their turn comes"""
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
    avif: Avif | None = None
    """how hard an AVIF was compressed; None: without loss, or not known"""
    cicp: Cicp | None = None
    """codes of colours that no profile describes, as of high dynamic range: only PNG keeps them"""
    metadata: Metadata = NO_METADATA
    notices: tuple[str, ...] = ()
    """what a result lacks of the file, as of `pipeline.upscaling.notices`"""

    @property
    def animated(self) -> bool:
        """Whether there is more than one frame."""
        return len(self.frames) > 1

    @property
    def channels(self) -> int:
        """1 to 4, as of `Pixels`."""
        return int(self.frames[0].shape[2])

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, pixels."""
        height, width = self.frames[0].shape[:2]
        return width, height

    @property
    def pixel_count(self) -> int:
        """Pixels of all frames together."""
        return math.prod(self.size) * len(self.frames)

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


def decode_picture(data: bytes, max_pixels: int = MAX_PIXELS) -> Picture:
    """Decode the bytes of a file; its format is recognised by its content.

    Depth and grey are kept, palettes become RGB. Values stay as they are, with the profile that
    describes their colours, whether the file has one or says the same in another way; CMYK, YCbCr
    and LAB become sRGB. Of an animation every frame is decoded once, and only the first is kept.
    Of a JPEG the marker of its end may be missing, but nothing else. Raises `ImageRefused`.
    """
    lacked_end = lacks_end(data)
    whole = data + bytes((0xFF, EOI)) if lacked_end else data
    with opened(whole, max_pixels) as image, decoding():
        # Pillow fills with grey what is missing before that marker.
        if lacked_end and not is_whole_jpeg(whole):
            raise ImageRefused("damaged", CUT_OFF)
        metadata, jpeg = read_metadata(image, whole), jpeg_of(image)
        if frame_count(image) > 1:
            picture = _read_animation(image, whole, max_pixels)
        else:
            picture = _from_raster(read_raster(image, whole), image)
        return replace(
            picture,
            jpeg_quality=jpeg.quality if jpeg else None,
            webp_quantiser=webp_quantiser(whole) if image.format == "WEBP" else None,
            avif=avif_of(whole) if image.format == "AVIF" else None,
            metadata=metadata,
            notices=notices_of(image, data, picture.has_16_bits),
        )


def from_pil(image: Image.Image) -> Picture:
    """Convert a PIL image of any mode; "I;16" stays grey, with whatever profile it has.

    Raises `ImageRefused` for "I" and "F".
    """
    with decoding():
        copy = image.copy()
        raster = read_raster(copy)
        if raster.pixels.dtype == np.uint16:
            # Pillow has no colours of 16 bits, as which a profile for RGB lets grey be read.
            raster = replace(raster, pixels=raster.pixels[..., :1])
        return _from_raster(raster, copy)


def _from_raster(raster: Raster, image: Image.Image) -> Picture:
    return Picture((raster.pixels,), raster.profile, _dpi(image), cicp=raster.cicp)


def picture_in_srgb(picture: Picture) -> Picture:
    """Return `picture` in sRGB, of 8 bits, instead of with a profile; unchanged if it has none."""
    if picture.icc_profile is None:
        return picture

    def converted(pixels: Pixels) -> Pixels:
        result = np.asarray(srgb_image(Raster(pixels, picture.icc_profile)))
        return result[..., None] if result.ndim == 2 else result

    return replace(picture, frames=changed(picture.frames, converted), icc_profile=None)


def to_pil(picture: Picture) -> Image.Image:
    """Convert the first frame to a PIL image. Raises `ValueError` for colours of 16 bits."""
    pixels = picture.frames[0]
    if picture.has_16_bits and picture.channels > 1:
        raise ValueError("Pillow has no colours of 16 bits")
    image = Image.fromarray(pixels[..., 0] if picture.channels == 1 else pixels)
    image.info.update(picture.pil_info)
    return image


def _read_animation(image: Image.Image, data: bytes, max_pixels: int) -> Picture:
    profile, cicp = image.info.get("icc_profile"), image.info.get("cicp")
    durations_ms, is_opaque = [], True
    for pixels in _frames(image, max_pixels):
        durations_ms.append(round(image.info.get("duration", 0)) or DEFAULT_DURATION_MS)
        is_opaque = is_opaque and bool((pixels[..., 3] == 255).all())

    def decoded() -> Iterator[Pixels]:
        with open_image(data) as again:
            for pixels in _frames(again, max_pixels):
                yield pixels[..., :3] if is_opaque else pixels

    return Picture(
        LazyFrames(len(durations_ms), decoded),
        profile if profile_space(profile) == "RGB" else None,
        _dpi(image),
        tuple(durations_ms),
        _plays(image),
        cicp=cicp,
    )


def _frames(image: Image.Image, max_pixels: int) -> Iterator[Pixels]:
    """Yield the frames of an open animation as RGBA. Raises `ImageRefused`, and as Pillow does."""
    # An APNG may begin with a still picture for programs that play none.
    first = 1 if getattr(image, "default_image", False) else 0
    profile = image.info.get("icc_profile")
    # Frames become RGB, of which a profile for grey says nothing.
    is_grey = image.mode in ("1", "L", "LA") and profile_space(profile) == "GRAY"
    for index in range(first, frame_count(image)):
        image.seek(index)
        # Pillow enlarges a GIF by a frame that reaches beyond the size in its header.
        if image.width * image.height * frame_count(image) > max_pixels:
            raise too_many_pixels(image, max_pixels)
        image.load()
        frame = in_srgb(image.convert("LA"), profile) if is_grey else image
        yield np.array(oriented(frame.convert("RGBA")))


def _plays(image: Image.Image) -> int:
    """Return how often an animation is played; 0: for ever."""
    field = image.info.get("loop")
    if image.format == "GIF":
        return plays_of_gif(None if field is None else int(field))
    return int(field or 0)


def _dpi(image: Image.Image) -> tuple[float, float] | None:
    dpi: Any = image.info.get("dpi")
    try:
        horizontal, vertical = (float(value) for value in dpi)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    plausible = 0 < horizontal < 1e5 and 0 < vertical < 1e5
    return (horizontal, vertical) if plausible else None
