"""Measures of pictures: JPEG quality and subsampling, perceptual hash, contrast, colourfulness."""

from dataclasses import dataclass
from functools import cache

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, JpegImagePlugin

# The luma table of ITU-T T.81, annex K.1, which the IJG's quality scales.
_STANDARD_TABLE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)
# By the samples of luma per sample of chroma, horizontally and vertically.
_SUBSAMPLINGS: dict[tuple[float, float], str] = {(1, 1): "4:4:4", (2, 1): "4:2:2", (2, 2): "4:2:0"}


@dataclass(frozen=True)
class Jpeg:
    """Compression of a JPEG original.

    `quality` is the IJG's scale, 1 to 100, estimated from luma's quantisation table; `subsampling`
    is that of chroma, "4:4:4" for none, "other" for a rare one. Of CMYK, the first component stands
    for luma.
    """

    quality: int
    subsampling: str


def jpeg_of(image: Image.Image) -> Jpeg | None:
    """Return the compression of an opened image, by its header; None if it is no JPEG."""
    if not isinstance(image, JpegImagePlugin.JpegImageFile) or not image.quantization:
        return None
    tables, table_of_luma = image.quantization, image.layer[0][3]
    # A file may have more tables between its scans, which Pillow does not read.
    table = tables.get(table_of_luma) or next(iter(tables.values()))
    return Jpeg(_quality(table), _subsampling(image.layer))


def _subsampling(components: list[tuple[int, int, int, int]]) -> str:
    """Return the chroma subsampling of components as (id, factor across, factor down, table)."""
    (_, luma_across, luma_down, _), *others = components
    # A fourth component is black, which is no chroma.
    ratios = {(luma_across / across, luma_down / down) for _, across, down, _ in others[:2]}
    if not ratios:
        return "4:4:4"
    return _SUBSAMPLINGS.get(ratios.pop(), "other") if len(ratios) == 1 else "other"


def _quality(table: list[int]) -> int:
    """Return the quality whose table has the sum nearest to that of this one."""
    return min(range(1, 101), key=lambda quality: abs(_table_sum(quality) - sum(table)))


def quality_of_steps(steps: NDArray[np.float64]) -> int:
    """Return the quality nearest to luma's steps, `(8, 8)`, of which NaN are not known.

    100 where none is known: steps that leave no trace are small.
    """
    known = ~np.isnan(steps)
    if not known.any():
        return 100
    total = float(steps[known].sum())
    return min(range(1, 101), key=lambda quality: abs(_table(quality)[known].sum() - total))


@cache
def _table_sum(quality: int) -> int:
    return int(_table(quality).sum())


@cache
def _table(quality: int) -> NDArray[np.int64]:
    """Return the IJG library's table for a quality (`jpeg_quality_scaling`)."""
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    return ((_STANDARD_TABLE * percent + 50) // 100).clip(1, 255)


def perceptual_hashes(pixels: NDArray[np.uint8]) -> tuple[str, str]:
    """Return imagehash's pHash of an `(H, W, 3)` image, and of its mirror image.

    Each is 64 bits as 16 hex digits. One does not follow from the other's bits.
    """
    # The size at which imagehash computes it: the mirror image of 512 pixels gives no other.
    small = Image.fromarray(pixels).convert("L").resize((32, 32), Image.Resampling.LANCZOS)
    return str(imagehash.phash(small)), str(imagehash.phash(ImageOps.mirror(small)))


def contrast(pixels: NDArray[np.uint8]) -> float:
    """Return the standard deviation of BT.601 luma over an `(H, W, 3)` image: 0 flat, to 127.5."""
    luma = np.asarray(Image.fromarray(pixels).convert("L"))
    return round(float(luma.std()), 2)


def colourfulness(pixels: NDArray[np.uint8]) -> float:
    """Return the mean of `max(R, G, B) - min(R, G, B)`: 0 grey, to 255."""
    red, green, blue = (pixels[..., channel] for channel in range(3))
    # Plane by plane: ten times as fast as a maximum along an axis of three.
    largest = np.maximum(np.maximum(red, green), blue)
    least = np.minimum(np.minimum(red, green), blue)
    return round(float((largest - least).mean()), 2)
