"""How an original becomes a square of one size: cropped, padded or squashed, never enlarged."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ImageColor

from pipeline.images.decode import ImageRefused
from pipeline.images.resample import lanczos

Pixels = NDArray[np.uint8]
Profile = NDArray[np.floating[Any]]
Box = tuple[int, int, int, int]

_PREVIEW = 64
"""pixels of the short side on which detail is looked for"""


@dataclass(frozen=True)
class Fitted:
    """A `(size, size, 3) uint8` image and where it came from.

    `scale` is result pixels an original pixel (of squash: the smaller of its two); `crop_box` is
    left, top, right and bottom of the part that was used, in the oriented original.
    """

    pixels: Pixels
    scale: float
    crop_box: Box


def fit(pixels: Pixels, size: int, mode: str, background: str) -> Fitted:
    """Fit an `(H, W, 3) uint8` image into `size × size` pixels by `mode`, a name in `MODES`.

    Raises `ImageRefused` ("too_small") where that would enlarge it.
    """
    return MODES[mode](pixels, size, background)


def _crop(pixels: Pixels, size: int, background: str) -> Fitted:
    """The largest square in the centre."""
    height, width = pixels.shape[:2]
    side = _large_enough(min(width, height), size, pixels)
    return _square(pixels, size, (width - side) // 2, (height - side) // 2)


def _detail(pixels: Pixels, size: int, background: str) -> Fitted:
    """The largest square where the most detail is."""
    height, width = pixels.shape[:2]
    side = _large_enough(min(width, height), size, pixels)
    busy_columns, busy_rows = _business(pixels, side)
    return _square(
        pixels, size, _busiest(busy_columns, width, side), _busiest(busy_rows, height, side)
    )


def _business(pixels: Pixels, side: int) -> tuple[Profile, Profile]:
    """How much brightness changes from pixel to pixel, by column and by row, of a small copy."""
    height, width = pixels.shape[:2]
    small_width, small_height = (
        max(_PREVIEW, length * _PREVIEW // side) for length in (width, height)
    )
    grey = lanczos(pixels, small_width, small_height).mean(axis=2)
    down, right = (np.abs(np.diff(grey, axis=axis)) for axis in (0, 1))
    down, right = np.pad(down, ((0, 1), (0, 0))), np.pad(right, ((0, 0), (0, 1)))
    return (down + right).sum(axis=0), (down + right).sum(axis=1)


def _busiest(profile: Profile, length: int, side: int) -> int:
    """Where along `length` pixels the busiest `side` begin; of equals, those nearest the centre."""
    sums = np.convolve(profile, np.ones(_PREVIEW), "valid")
    centre = (len(sums) - 1) / 2
    equals = np.flatnonzero(np.isclose(sums, sums.max()))
    best = equals[np.abs(equals - centre).argmin()]
    return (
        round((length - side) * best / (len(sums) - 1)) if len(sums) > 1 else (length - side) // 2
    )


def _square(pixels: Pixels, size: int, left: int, top: int) -> Fitted:
    """The largest square from this corner on."""
    side = min(pixels.shape[:2])
    # Cropping first keeps what lies outside the box from bleeding into its edge.
    part = pixels[top : top + side, left : left + side]
    return Fitted(lanczos(part, size, size), size / side, (left, top, left + side, top + side))


def _pad(pixels: Pixels, size: int, background: str) -> Fitted:
    """All of the image, in the centre of a square of `background`."""
    height, width = pixels.shape[:2]
    scale = size / _large_enough(max(width, height), size, pixels)
    inner_width, inner_height = max(1, round(width * scale)), max(1, round(height * scale))
    left, top = (size - inner_width) // 2, (size - inner_height) // 2
    result = np.full((size, size, 3), ImageColor.getrgb(background)[:3], np.uint8)
    small = lanczos(pixels, inner_width, inner_height)
    result[top : top + inner_height, left : left + inner_width] = small
    return Fitted(result, scale, (0, 0, width, height))


def _squash(pixels: Pixels, size: int, background: str) -> Fitted:
    """All of the image, each side scaled on its own."""
    height, width = pixels.shape[:2]
    _large_enough(min(width, height), size, pixels)
    scale = size / max(width, height)
    return Fitted(lanczos(pixels, size, size), scale, (0, 0, width, height))


MODES: dict[str, Callable[[Pixels, int, str], Fitted]] = {
    "crop": _crop,
    "detail": _detail,
    "pad": _pad,
    "squash": _squash,
}


def _large_enough(side: int, size: int, pixels: Pixels) -> int:
    if side < size:
        height, width = pixels.shape[:2]
        raise ImageRefused("too_small", f"{width}×{height} would have to be enlarged")
    return side
