"""Encoding of pictures: lossless, unless the format or the user asks for less."""

import io
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import png
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pipeline.errors import PipelineError
from pipeline.images.deep_pixels import eight_bits
from pipeline.images.gif_blocks import gif_repetitions
from pipeline.images.raster import Pixels, has_alpha
from pipeline.upscaling.animation_encoding import (
    PNG_SIGNATURE,
    Animation,
    Frame,
    encode_apng,
    encode_gif,
    encode_webp,
    png_chunk,
    saved,
    to_image,
)
from pipeline.upscaling.formats import FORMATS
from pipeline.upscaling.frames import changed
from pipeline.upscaling.pictures import Picture, picture_in_srgb

JPEG_QUALITY = 95
# The largest values of GIF's fields of 16 bits; durations are in hundredths of a second.
MAX_DURATION_MS = 655_350
MAX_LOOPS = 65_535
# Enlarged drawings are 0.9 % larger than at zlib's default of 6, and take half of the CPU time.
PNG_LEVEL = 4
ENCODER_BYTES = {"png": 8, "jpg": 8, "webp": 46, "gif": 50}
"""Memory of Pillow and its encoders per pixel, the encoded file included: of noise, the most"""
HELD_WEBP_BYTES = 2
"""Per pixel of an animation's frames, which the encoder of WebP holds encoded, and joins at the end
"""


@dataclass(frozen=True)
class Encoding:
    """Format and quality, as `encode_picture` takes them, and whether metadata is left out."""

    format: str
    quality: int | None = None
    strip_metadata: bool = False


def check_format(format: str, picture: Picture, width: int, height: int) -> None:
    """Raise `PipelineError` unless the format can hold `picture` enlarged to that size."""
    if format == "jpg" and (picture.animated or picture.has_alpha):
        missing = "animations" if picture.animated else "transparency"
        raise PipelineError(f"JPEG has no {missing}; choose png or webp")
    if format != "png" and picture.cicp is not None:
        raise PipelineError(f"{format} has no {picture.cicp.name}; choose png")
    limit = FORMATS[format].max_side
    if max(width, height) > limit:
        raise PipelineError(
            f"{format} has no picture of {width}×{height}, its sides end at {limit}; choose png"
        )


def encode_picture(picture: Picture, format: str, quality: int | None = None) -> bytes:
    """Encode as "png", "webp", "jpg" or "gif", with profile, resolution and metadata.

    Without `quality` (1 to 100) WebP is lossless and JPEG has 95; JPEG's chroma is not subsampled.
    Only PNG has 16 bits: other formats get 8. GIF has no profile, and WebP none for grey: they get
    sRGB. Animations are APNG, WebP or GIF. Raises `PipelineError` where the format cannot hold the
    picture.
    """
    return b"".join(encoded_parts(picture, format, quality))


def encoded_parts(picture: Picture, format: str, quality: int | None = None) -> Iterator[bytes]:
    """Yield the parts of what `encode_picture` returns: of animations, frame by frame."""
    check_format(format, picture, *picture.size)
    if format == "png" and picture.has_16_bits:
        yield from _png16_parts(picture)
        return
    if not _holds_profile(format, picture.channels):
        picture = picture_in_srgb(picture)
    frames = _frames_of_8_bits(picture, format)
    options = _save_options(format, quality) | _info_options(picture, format)
    if picture.animated:
        yield from _ANIMATION_ENCODERS[format](_animation(picture, frames, format, options))
    else:
        yield saved(to_image(frames[0]), **options)


def encoder_bytes(format: str, picture: Picture, width: int, height: int) -> int:
    """Return the bytes that `encoded_parts` takes for frames of that size, beside their pixels."""
    if format == "png" and picture.has_16_bits:
        return 0
    held = len(picture.frames) * HELD_WEBP_BYTES if format == "webp" and picture.animated else 0
    return width * height * (ENCODER_BYTES[format] + held)


def _save_options(format: str, quality: int | None) -> dict[str, Any]:
    if format == "webp":
        lossless = quality is None
        return {"format": "WEBP"} | ({"lossless": True} if lossless else {"quality": quality})
    if format == "jpg":
        return {"format": "JPEG", "quality": quality or JPEG_QUALITY, "subsampling": 0}
    if format == "png":
        return {"format": "PNG", "compress_level": PNG_LEVEL}
    return {"format": format.upper()}


def _holds_profile(format: str, channels: int) -> bool:
    """Return whether the format has profiles of such pictures: in WebP all are RGB."""
    return format in ("png", "jpg") or (format == "webp" and channels > 2)


def _info_options(picture: Picture, format: str) -> dict[str, Any]:
    """Return what Pillow's `save` takes to write what the picture says besides its pixels."""
    options = picture.pil_info | picture.metadata.save_options(format)
    if picture.cicp is not None:
        chunks = options.setdefault("pnginfo", PngInfo())
        chunks.add(b"cICP", picture.cicp.as_bytes())
    return options


def _frames_of_8_bits(picture: Picture, format: str) -> Sequence[Frame]:
    return changed(picture.frames, _binary_alpha if format == "gif" else eight_bits)


def _animation(
    picture: Picture, frames: Sequence[Frame], format: str, options: dict[str, Any]
) -> Animation:
    plays = min(picture.loops, MAX_LOOPS)
    if format == "gif":
        repetitions = gif_repetitions(plays)
        options = options | ({} if repetitions is None else {"loop": repetitions})
        if picture.has_alpha:
            # Clear each frame: the next one would show it through its transparent pixels.
            options["disposal"] = 2
    durations = [min(duration, MAX_DURATION_MS) for duration in picture.frame_durations_ms]
    return Animation(frames, durations, plays, options)


_ANIMATION_ENCODERS = {"png": encode_apng, "gif": encode_gif, "webp": encode_webp}


def _binary_alpha(pixels: Pixels) -> Frame:
    """Return 8 bits with alpha rounded to 0 or 255, the only values of GIF."""
    levels = eight_bits(pixels)
    if not has_alpha(levels.shape[2]):
        return levels
    opaque = levels[..., -1:] >= 128
    result: Frame = np.where(opaque, levels, 0).astype(np.uint8)
    result[..., -1:] = np.where(opaque, 255, 0)
    return result


def _png16_parts(picture: Picture) -> Iterator[bytes]:
    """Yield a PNG of 16 bits per channel, which Pillow does not write in colour."""
    width, height = picture.size
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[picture.channels]
    header = struct.pack(">IIBB3x", width, height, 16, colour_type)
    chunks = [(b"IHDR", header), *_info_chunks(picture)]
    yield PNG_SIGNATURE + b"".join(png_chunk(*chunk) for chunk in chunks)
    stream = zlib.compressobj(PNG_LEVEL)
    for row in picture.frames[0]:
        # Each row begins with the number of its filter: none.
        if part := stream.compress(b"\0" + row.astype(">u2").tobytes()):
            yield png_chunk(b"IDAT", part)
    yield png_chunk(b"IDAT", stream.flush()) + png_chunk(b"IEND", b"")


def _info_chunks(picture: Picture) -> list[tuple[bytes, bytes]]:
    """Return the PNG chunks besides pixels, as Pillow writes them."""
    sample = io.BytesIO()
    Image.new("L", (1, 1)).save(sample, "PNG", **_info_options(picture, "png"))
    chunks = png.Reader(bytes=sample.getvalue()).chunks()
    return [chunk for chunk in chunks if chunk[0] not in (b"IHDR", b"IDAT", b"IEND")]
