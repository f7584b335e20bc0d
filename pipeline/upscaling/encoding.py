"""Pictures as the bytes of a file, lossless unless the format or the user says otherwise."""

import io
import struct
from dataclasses import replace
from typing import Any

import numpy as np
import png
from numpy.typing import NDArray
from PIL import Image

from pipeline.errors import PipelineError
from pipeline.upscaling.pictures import Picture, Pixels, to_image

FORMATS = {".png": "png", ".webp": "webp", ".jpg": "jpg", ".jpeg": "jpg", ".gif": "gif"}
"""File name ending → format."""
MAX_SIDES = {"png": 2**31 - 1, "webp": 16_383, "jpg": 65_500, "gif": 65_535}
JPEG_QUALITY = 95
LONGEST_MILLISECONDS = 655_350
MOST_LOOPS = 65_535
"""What GIF's fields of 16 bits hold, the times in hundredths of a second."""


def check_format(format: str, picture: Picture, width: int, height: int) -> None:
    """Raise `PipelineError` where a format cannot hold such a picture of that size."""
    if format == "jpg" and (picture.animated or picture.channels in (2, 4)):
        lacks = "animations" if picture.animated else "transparency"
        raise PipelineError(f"JPEG has no {lacks}; choose png or webp")
    limit = MAX_SIDES[format]
    if max(width, height) > limit:
        raise PipelineError(
            f"{format} has no picture of {width}×{height}, its sides end at {limit}; choose png"
        )


def encode_picture(picture: Picture, format: str, quality: int | None = None) -> bytes:
    """Encode as "png", "webp", "jpg" or "gif", with profile and resolution.

    WebP is lossless without `quality` (1 to 100), JPEG has 95 then, always with full chroma. Only
    PNG has 16 bits: other formats get 8. Animations are APNG, WebP or GIF. Raises `PipelineError`
    where the format cannot hold the picture.
    """
    height, width = picture.frames[0].shape[:2]
    check_format(format, picture, width, height)
    if format == "png" and picture.deep:
        return _deep_png(picture)
    shown = [_eight_bits(frame) for frame in picture.frames]
    if format == "gif":
        shown = [_all_or_nothing(frame) for frame in shown]
    frames = [to_image(replace(picture, frames=(frame,))) for frame in shown]
    options = _options(format, quality) | picture.info
    if picture.animated:
        options |= {"save_all": True, "append_images": frames[1:]} | _times(picture, format)
    buffer = io.BytesIO()
    try:
        frames[0].save(buffer, **options)
    except (OSError, ValueError, OverflowError, RuntimeError, struct.error) as error:
        reason = " ".join(str(error).split())
        raise PipelineError(f"{format} cannot hold this picture: {reason}") from None
    return buffer.getvalue()


def _options(format: str, quality: int | None) -> dict[str, Any]:
    if format == "webp":
        lossless = quality is None
        return {"format": "WEBP"} | ({"lossless": True} if lossless else {"quality": quality})
    if format == "jpg":
        return {"format": "JPEG", "quality": quality or JPEG_QUALITY, "subsampling": 0}
    return {"format": format.upper()}


def _times(picture: Picture, format: str) -> dict[str, Any]:
    times: dict[str, Any] = {
        "duration": [min(duration, LONGEST_MILLISECONDS) for duration in picture.milliseconds],
        "loop": min(picture.loops, MOST_LOOPS),
    }
    if format == "gif":
        # It tells repeats, and nothing when there is none; what was transparent must be cleared.
        if picture.loops == 1:
            del times["loop"]
        elif picture.loops:
            times["loop"] -= 1
        if picture.channels in (2, 4):
            times["disposal"] = 2
    return times


def _all_or_nothing(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pixels that are seen or not, since GIF has nothing between."""
    if pixels.shape[2] in (1, 3):
        return pixels
    seen = pixels[..., -1:] >= 128
    result: NDArray[np.uint8] = np.where(seen, pixels, 0).astype(np.uint8)
    result[..., -1:] = np.where(seen, 255, 0)
    return result


def _eight_bits(pixels: Pixels) -> NDArray[np.uint8]:
    if pixels.dtype == np.uint8:
        return pixels.astype(np.uint8, copy=False)
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _deep_png(picture: Picture) -> bytes:
    """16 bits a channel, which Pillow does not write in colour."""
    pixels = picture.frames[0]
    height, width, channels = pixels.shape
    writer = png.Writer(
        width, height, greyscale=channels < 3, alpha=channels in (2, 4), bitdepth=16, compression=6
    )
    plain = io.BytesIO()
    rows = pixels.astype(">u2").reshape(height, -1)
    writer.write_packed(plain, (row.tobytes() for row in rows))
    header, *rest = png.Reader(bytes=plain.getvalue()).chunks()
    whole = io.BytesIO()
    png.write_chunks(whole, [header, *_chunks(picture), *rest])
    return whole.getvalue()


def _chunks(picture: Picture) -> list[tuple[bytes, bytes]]:
    """The chunks of a profile and a resolution, as Pillow makes them."""
    sample = io.BytesIO()
    Image.new("L", (1, 1)).save(sample, "PNG", **picture.info)
    wanted = (b"iCCP", b"pHYs")
    return [chunk for chunk in png.Reader(bytes=sample.getvalue()).chunks() if chunk[0] in wanted]
