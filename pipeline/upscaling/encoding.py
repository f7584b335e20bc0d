"""Encoding of pictures: lossless, unless the format or the user asks for less."""

import io
import struct
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import png
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pipeline.errors import PipelineError
from pipeline.images.deep_pixels import eight_bits
from pipeline.images.raster import has_alpha
from pipeline.machine_errors import is_memory_fault
from pipeline.upscaling.formats import FORMATS
from pipeline.upscaling.gif_loops import gif_repetitions
from pipeline.upscaling.pictures import Picture, picture_in_srgb, to_pil

JPEG_QUALITY = 95
# The largest values of GIF's fields of 16 bits; durations are in hundredths of a second.
MAX_DURATION_MS = 655_350
MAX_LOOPS = 65_535


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
    height, width = picture.frames[0].shape[:2]
    check_format(format, picture, width, height)
    if format == "png" and picture.has_16_bits:
        return _encode_png16(picture)
    if not _holds_profile(format, picture.channels):
        picture = picture_in_srgb(picture)
    pixels = [eight_bits(frame) for frame in picture.frames]
    if format == "gif":
        pixels = [_binary_alpha(frame) for frame in pixels]
    frames = [to_pil(replace(picture, frames=(frame,))) for frame in pixels]
    options = _save_options(format, quality) | _info_options(picture, format)
    if picture.animated:
        options |= {"save_all": True, "append_images": frames[1:]} | _animation_options(
            picture, format
        )
    buffer = io.BytesIO()
    try:
        frames[0].save(buffer, **options)
    except (OSError, ValueError, OverflowError, RuntimeError, struct.error) as error:
        if is_memory_fault(error):
            raise
        reason = " ".join(str(error).split())
        raise PipelineError(f"{format} cannot hold this picture: {reason}") from None
    return buffer.getvalue()


def _save_options(format: str, quality: int | None) -> dict[str, Any]:
    if format == "webp":
        lossless = quality is None
        return {"format": "WEBP"} | ({"lossless": True} if lossless else {"quality": quality})
    if format == "jpg":
        return {"format": "JPEG", "quality": quality or JPEG_QUALITY, "subsampling": 0}
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


def _animation_options(picture: Picture, format: str) -> dict[str, Any]:
    plays = min(picture.loops, MAX_LOOPS)
    durations = [min(duration, MAX_DURATION_MS) for duration in picture.frame_durations_ms]
    options: dict[str, Any] = {"duration": durations, "loop": plays}
    if format == "gif":
        options["loop"] = gif_repetitions(plays)
        if options["loop"] is None:
            del options["loop"]
        if picture.has_alpha:
            # Clear each frame: the next one would show it through its transparent pixels.
            options["disposal"] = 2
    return options


def _binary_alpha(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Round alpha to 0 or 255, the only values of GIF."""
    if not has_alpha(pixels.shape[2]):
        return pixels
    opaque = pixels[..., -1:] >= 128
    result: NDArray[np.uint8] = np.where(opaque, pixels, 0).astype(np.uint8)
    result[..., -1:] = np.where(opaque, 255, 0)
    return result


def _encode_png16(picture: Picture) -> bytes:
    """Encode 16 bits per channel with pypng: Pillow does not write them in colour."""
    pixels = picture.frames[0]
    height, width, channels = pixels.shape
    writer = png.Writer(
        width, height, greyscale=channels < 3, alpha=picture.has_alpha, bitdepth=16, compression=6
    )
    without_metadata = io.BytesIO()
    rows = pixels.astype(">u2").reshape(height, -1)
    writer.write_packed(without_metadata, (row.tobytes() for row in rows))
    header, *rest = png.Reader(bytes=without_metadata.getvalue()).chunks()
    result = io.BytesIO()
    png.write_chunks(result, [header, *_info_chunks(picture), *rest])
    return result.getvalue()


def _info_chunks(picture: Picture) -> list[tuple[bytes, bytes]]:
    """Return the PNG chunks besides pixels, as Pillow writes them."""
    sample = io.BytesIO()
    Image.new("L", (1, 1)).save(sample, "PNG", **_info_options(picture, "png"))
    chunks = png.Reader(bytes=sample.getvalue()).chunks()
    return [chunk for chunk in chunks if chunk[0] not in (b"IHDR", b"IDAT", b"IEND")]
