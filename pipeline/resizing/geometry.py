"""Fit originals into squares of one size: crop, pad, squash or cut them, never enlarge them."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ImageColor

from pipeline.images.decode import ImageRefused
from pipeline.images.resample import lanczos
from pipeline.params import ResizeParams

Pixels = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]
Box = tuple[int, int, int, int]

_PREVIEW_SIDE = 64
"""Side of a square, in pixels, in the preview, a small copy in which detail is measured."""


@dataclass(frozen=True)
class Fitted:
    """A `(size, size, 3) uint8` image and the part of the original that it shows.

    `scale` is result pixels per original pixel (of squash: the smaller of its two); `crop_box` is
    left, top, right and bottom of the part that was used, in the oriented original.
    """

    pixels: Pixels
    scale: float
    crop_box: Box


def fit(pixels: Pixels, params: ResizeParams) -> list[Fitted]:
    """Fit an `(H, W, 3) uint8` image into one or several squares by `params.mode`.

    Raises `ImageRefused` ("too_small") where that would enlarge it.
    """
    return _MODES[params.mode](pixels, params)


def _crop(pixels: Pixels, params: ResizeParams) -> list[Fitted]:
    """Return the largest square in the centre."""
    height, width = pixels.shape[:2]
    side = min(width, height)
    _refuse_enlarging(side, pixels, params)
    return [_cut_square(pixels, params.size, side, (width - side) // 2, (height - side) // 2)]


def _detail(pixels: Pixels, params: ResizeParams) -> list[Fitted]:
    """Return the largest square with the most detail."""
    height, width = pixels.shape[:2]
    side = min(width, height)
    _refuse_enlarging(side, pixels, params)
    detail = _detail_map(pixels, side)
    left = _most_detailed_start(detail.sum(axis=0), width, side)
    top = _most_detailed_start(detail.sum(axis=1), height, side)
    return [_cut_square(pixels, params.size, side, left, top)]


def _cover(pixels: Pixels, params: ResizeParams) -> list[Fitted]:
    """Return as many of the largest squares as cover all of the image, evenly spaced."""
    side = min(pixels.shape[:2])
    _refuse_enlarging(side, pixels, params)
    return _grid(pixels, params, side, math.ceil)


def _tiles(pixels: Pixels, params: ResizeParams) -> list[Fitted]:
    """Return evenly spaced squares that are not scaled and do not overlap."""
    _refuse_enlarging(min(pixels.shape[:2]), pixels, params)
    return _grid(pixels, params, params.size, math.floor)


def _grid(
    pixels: Pixels, params: ResizeParams, side: int, count: Callable[[float], int]
) -> list[Fitted]:
    """Return those of evenly spaced squares of `side` pixels with the most detail, row by row.

    `count` rounds how often `side` goes into the image's width and height.
    """
    height, width = pixels.shape[:2]
    detail, preview_side = _detail_map(pixels, side), _preview_side(side)
    lefts, tops = (_starts(length, side, count(length / side)) for length in (width, height))
    corners = [(left, top) for top in tops for left in lefts]

    def detail_at(corner: tuple[int, int]) -> float:
        left, top = (position * preview_side // side for position in corner)
        return float(detail[top : top + preview_side, left : left + preview_side].sum())

    kept = set(sorted(corners, key=detail_at, reverse=True)[: params.max_tiles])
    return [_cut_square(pixels, params.size, side, *corner) for corner in corners if corner in kept]


def _starts(length: int, side: int, count: int) -> list[int]:
    """Return the first pixel of each of `count` parts of `side` pixels, spread over `length`."""
    if count == 1:
        return [(length - side) // 2]
    return [number * (length - side) // (count - 1) for number in range(count)]


def _preview_side(side: int) -> int:
    """Return how many pixels `side` pixels of the original are in the preview: never more."""
    return min(_PREVIEW_SIDE, side)


def _detail_map(pixels: Pixels, side: int) -> Floats:
    """Return the brightness gradient of the preview in which detail is measured: `(h, w)`."""
    height, width = pixels.shape[:2]
    small = _preview_side(side)
    small_width, small_height = (max(small, length * small // side) for length in (width, height))
    grey = lanczos(pixels, small_width, small_height).mean(axis=2)
    down, right = (np.abs(np.diff(grey, axis=axis)) for axis in (0, 1))
    detail: Floats = np.pad(down, ((0, 1), (0, 0))) + np.pad(right, ((0, 0), (0, 1)))
    return detail


def _most_detailed_start(profile: Floats, length: int, side: int) -> int:
    """Return the first pixel of the `side` pixels with the most detail, of `length` pixels.

    Of equal ones, those nearest to the centre.
    """
    sums = np.convolve(profile, np.ones(_preview_side(side)), "valid")
    centre = (len(sums) - 1) / 2
    equals = np.flatnonzero(np.isclose(sums, sums.max()))
    best = equals[np.abs(equals - centre).argmin()]
    return (
        round((length - side) * best / (len(sums) - 1)) if len(sums) > 1 else (length - side) // 2
    )


def _cut_square(pixels: Pixels, size: int, side: int, left: int, top: int) -> Fitted:
    """Cut out the square of `side` pixels at this corner and scale it to `size`."""
    # Cropping first keeps what lies outside the box from bleeding into its edge.
    part = pixels[top : top + side, left : left + side]
    return Fitted(lanczos(part, size, size), size / side, (left, top, left + side, top + side))


def _pad(pixels: Pixels, params: ResizeParams) -> list[Fitted]:
    """Scale the long side to `size`; put the image into the centre of a square of `background`."""
    height, width = pixels.shape[:2]
    size, longer = params.size, max(width, height)
    _refuse_enlarging(longer, pixels, params)
    scale = size / longer
    inner_width, inner_height = max(1, round(width * scale)), max(1, round(height * scale))
    left, top = (size - inner_width) // 2, (size - inner_height) // 2
    result = np.full((size, size, 3), ImageColor.getrgb(params.background), np.uint8)
    small = lanczos(pixels, inner_width, inner_height)
    result[top : top + inner_height, left : left + inner_width] = small
    return [Fitted(result, scale, (0, 0, width, height))]


def _squash(pixels: Pixels, params: ResizeParams) -> list[Fitted]:
    """Scale each side to `size`."""
    height, width = pixels.shape[:2]
    _refuse_enlarging(min(width, height), pixels, params)
    scaled = lanczos(pixels, params.size, params.size)
    return [Fitted(scaled, params.size / max(width, height), (0, 0, width, height))]


def _refuse_enlarging(side: int, pixels: Pixels, params: ResizeParams) -> None:
    """Raise `ImageRefused` where a side of `pixels` would be enlarged to `params.size`."""
    if side < params.size:
        height, width = pixels.shape[:2]
        raise ImageRefused("too_small", f"{width}×{height} would have to be enlarged")


_MODES: dict[str, Callable[[Pixels, ResizeParams], list[Fitted]]] = {
    "crop": _crop,
    "detail": _detail,
    "cover": _cover,
    "pad": _pad,
    "squash": _squash,
    "tiles": _tiles,
}
