"""Colours of 16 bits in PNG and TIFF, of which Pillow keeps the upper 8.

It decodes them twice: for the upper bytes, and in the other byte order for the lower ones.
"""

import struct
import sys
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ImageFile
from PIL.TiffImagePlugin import BITSPERSAMPLE, PLANAR_CONFIGURATION

from pipeline.images.opening import open_image
from pipeline.images.tiff_samples import (
    EXTRA,
    MIN_IS_WHITE,
    ORIENTATION,
    PHOTOMETRIC,
    PREDICTOR,
    short_tags,
)

WHITE = 65_535
_NATIVE = "L" if sys.byteorder == "little" else "B"
_OTHER_ORDER = {"L": "B", "B": "L"}
_PLANES = 2
_DIFFERENCES = 2
_PREMULTIPLIED = 1

Deep = NDArray[np.uint16]
"""`(h, w, c)`: grey, grey and alpha, RGB, or RGB and alpha"""


def read_deep(image: ImageFile.ImageFile, data: bytes) -> Deep | None:
    """Read the samples of `image`, opened from `data` and not yet loaded, if they have 16 bits.

    A PNG's transparent colour becomes alpha. Return None for other pictures, for CMYK, and for
    compressed planes, of which Pillow gives 8 bits alone. Raises whatever Pillow does.
    """
    rawmodes = _rawmodes(image)
    if not rawmodes:
        return None
    if image.format == "PNG" and rawmodes[0].endswith(";16B"):
        return _read_png(image, data, rawmodes[0])
    if image.info.get("tiff_samples") == "LA":
        return _read_grey_and_alpha(image, data)
    if image.format == "TIFF":
        return _read_tiff(image, data, rawmodes)
    return None


def eight_bits(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Return samples of 8 or 16 bits as the nearest ones of 8."""
    if pixels.dtype == np.uint8:
        return pixels.astype(np.uint8, copy=False)
    result = np.empty(pixels.shape, np.uint8)
    # Row by row, as a whole picture takes eight times the result's bytes in between.
    for levels, row in zip(result, pixels, strict=True):
        levels[:] = (row.astype(np.uint32) + 128) // 257
    return result


def _rawmodes(image: ImageFile.ImageFile) -> list[str]:
    """Return Pillow's names for the samples in each part of the file, until they are loaded."""
    arguments = [tile.args for tile in image.tile]
    return [one if isinstance(one, str) else str(one[0]) for one in arguments if one]


def _read_png(image: ImageFile.ImageFile, data: bytes, rawmode: str) -> Deep:
    if rawmode == "LA;16B":
        # Pillow has no such mode: its samples are read as RGBA of 8 bits, which are as long.
        both = open_image(_as_rgba(data))
        both.load()
        pixels = np.asarray(both).copy().view(">u2").astype(np.uint16)
        image.load()
    elif image.mode == "I;16":
        image.load()
        pixels = np.asarray(image).astype(np.uint16)[..., None]
    else:
        pixels = _two_passes(image, data)
    transparent = image.info.get("transparency")
    if transparent is not None:
        opaque = (pixels != np.array(transparent, np.uint16)).any(2, keepdims=True)
        pixels = np.concatenate([pixels, opaque * np.uint16(WHITE)], axis=2)
    bits = image.info.get("sbit")
    return _scale_significant_bits(pixels, bits) if bits else pixels


def _as_rgba(data: bytes) -> bytes:
    """Return a PNG of grey and alpha of 16 bits each as one of RGBA of 8 bits."""
    if data[12:16] != b"IHDR":
        raise OSError("its header is not its first chunk")
    header = data[12:24] + bytes((8, 6)) + data[26:29]
    return data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]


def _two_passes(image: ImageFile.ImageFile, data: bytes) -> Deep:
    """Read RGB, with or without alpha: from `image` the upper bytes, anew the lower ones."""
    lower = open_image(data)
    lower.tile = [tile._replace(args=_other_order(tile.args)) for tile in image.tile]
    image.load()
    pixels: Deep = np.asarray(image).astype(np.uint16)
    pixels <<= 8
    lower.load()
    pixels |= np.asarray(lower)
    return pixels


def _other_order(arguments: Any) -> Any:
    """Return a tile's arguments for the other byte order."""
    if isinstance(arguments, str):
        return _other_rawmode(arguments)
    return (_other_rawmode(arguments[0]), *arguments[1:])


def _other_rawmode(rawmode: str) -> str:
    order = rawmode[-1].replace("N", _NATIVE)
    return rawmode[:-1] + _OTHER_ORDER[order]


def _read_tiff(image: ImageFile.ImageFile, data: bytes, rawmodes: list[str]) -> Deep | None:
    tags: Any = getattr(image, "tag_v2", {})
    if image.mode.startswith("I;16"):
        image.load()
        pixels = np.asarray(image).astype(np.uint16)[..., None]
        if rawmodes[0] == "I;12":
            pixels = (pixels.astype(np.uint32) * WHITE // 4095).astype(np.uint16)
        min_is_white = tags.get(PHOTOMETRIC) == MIN_IS_WHITE
        return WHITE - pixels if min_is_white or "tiff_samples" in image.info else pixels
    if image.mode not in ("RGB", "RGBA") or set(tags.get(BITSPERSAMPLE, ())) != {16}:
        return None
    if tags.get(PLANAR_CONFIGURATION) == _PLANES and image.tile[0].codec_name == "libtiff":
        return None
    order = "L" if tags.prefix == b"II" else "B"
    parts: Any = image.tile
    image.tile = [
        part._replace(args=(_deep_rawmode(part.args[0], order), *part.args[1:])) for part in parts
    ]
    pixels = _two_passes(image, data)
    return _unpremultiplied(pixels) if rawmodes[0].startswith("RGBa") else pixels


def _deep_rawmode(rawmode: str, order: str) -> str:
    """Return the name for samples as they are; Pillow takes those of one band for 8 bits."""
    return f"{rawmode};16{order}" if len(rawmode) == 1 else rawmode.replace("RGBa", "RGBA")


def _unpremultiplied(pixels: Deep) -> Deep:
    alpha = pixels[..., -1:].astype(np.float32)
    colours = pixels[..., :-1] * (WHITE / np.maximum(alpha, 1))
    return np.concatenate([colours.round().clip(0, WHITE).astype(np.uint16), pixels[..., -1:]], 2)


def _read_grey_and_alpha(image: ImageFile.ImageFile, data: bytes) -> Deep:
    """Read a TIFF of grey and alpha, which Pillow decodes as RGBA of 8 bits."""
    tags = short_tags(data)
    image.load()
    order = "<" if data[:2] == b"II" else ">"
    pixels: Deep = np.asarray(image).copy().view(f"{order}u2").astype(np.uint16)
    if tags.get(PREDICTOR) == _DIFFERENCES:
        pixels = np.cumsum(pixels, axis=1, dtype=np.uint16)
    if tags[PHOTOMETRIC] == MIN_IS_WHITE:
        pixels[..., 0] = WHITE - pixels[..., 0]
    if tags[EXTRA] == _PREMULTIPLIED:
        pixels = _unpremultiplied(pixels)
    return turned(pixels, tags.get(ORIENTATION, 1))


def turned(pixels: Deep, orientation: int) -> Deep:
    """Turn pixels upright, by the number that EXIF has for their orientation."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def _scale_significant_bits(pixels: Deep, bits: bytes) -> Deep:
    """Scale values of which only the first `bits` count (chunk sBIT) to all 16.

    Numbers of bits that samples cannot have are ignored.
    """
    count = max(bits)
    if not 1 <= min(bits) <= count <= 16:
        return pixels
    values = np.arange(WHITE + 1) >> (16 - count)
    table = (values * (WHITE / (2**count - 1))).round().astype(np.uint16)
    levels: Deep = table[pixels]
    return levels
