"""A picture resized while it is made, so that it is never held whole."""

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.networks.tiles import FLOAT_BYTES
from pipeline.upscaling.local_means import CLAMP_REACH, clamp_keeping_means
from pipeline.upscaling.transparency import (
    LEAST_ALPHA,
    from_unit_range,
    picture_has_alpha,
    premultiply,
    to_unit_range,
    unpremultiply,
)

_RADIUS = 2
"""of the bicubic kernel, pixels of the smaller picture"""
RESIZE_REACH = _RADIUS + CLAMP_REACH
"""Pixels of the smaller picture, beyond which those of the larger one change nothing."""
# Pixels of the larger picture. Weights are matrices: larger blocks hold more zeros, smaller ones
# are more products.
BLOCK = 64
# Of the rows of a block, while they are resized: premultiplied, and in parts of the result's width.
FLOAT_COPIES = 4
# Of the rows of the result that a block becomes, while they are clamped.
CLAMP_COPIES = 6


@dataclass(frozen=True)
class _Block:
    """Positions of the result along one axis, and the weights of those that they depend on.

    `weights`: (computed, source). `kept`: which of the computed positions are `target`; the others
    decide what `clamp_keeping_means` makes of these.
    """

    target: slice
    kept: slice
    source: slice
    weights: Tensor


class StripResizer:
    """Makes a picture smaller that comes in strips of rows: antialiased bicubic interpolation.

    Equal to that of PyTorch with `antialias`, whose a is -0.5, of premultiplied colours, but for
    values beyond black and white: these are clamped so that local means stay. `hr`: `(N, c, H, W)`,
    which is filled. `height`, `width`: of the picture that comes, with `margin` pixels on each side
    that lie beyond it and are weighed only.
    """

    def __init__(self, hr: Tensor, height: int, width: int, margin: int) -> None:
        self._hr = hr
        target_height, target_width = hr.shape[2:]
        beyond = CLAMP_REACH if margin else 0
        rows, columns = _Axis(height, margin, target_height), _Axis(width, margin, target_width)
        self._rows = deque(rows.blocks(range(target_height), CLAMP_REACH))
        self._columns = list(columns.blocks(range(-beyond, target_width + beyond), 0))
        self._kept_columns = slice(beyond, beyond + target_width)
        self._pending = hr.new_empty(*hr.shape[:2], 0, width)
        self._top = 0

    def strip(self, rows: int) -> Tensor:
        """Return `(N, c, rows, width)` for the next rows, to be filled before `resize`."""
        images, channels, kept, width = self._pending.shape
        pending = self._pending.new_empty(images, channels, kept + rows, width)
        pending[:, :, :kept] = self._pending
        self._pending = pending
        return pending[:, :, kept:]

    def resize(self) -> None:
        """Compute the rows of the result that need no more than the strips so far."""
        bottom = self._top + self._pending.shape[2]
        while self._rows and self._rows[0].source.stop <= bottom:
            block = self._rows.popleft()
            source = slice(block.source.start - self._top, block.source.stop - self._top)
            parts = self._pending[:, :, source], self._hr[:, :, block.target]
            for picture, result in zip(*parts, strict=True):
                # A caller's autocast would compute products of matrices in bf16.
                with torch.autocast("cpu", enabled=False):
                    resized = self._resized(picture, block.weights)
                kept = resized[:, block.kept, self._kept_columns]
                result.copy_(from_unit_range(kept, result.dtype))
        first = self._rows[0].source.start if self._rows else bottom
        self._pending, self._top = self._pending[:, :, first - self._top :].clone(), first

    def _resized(self, rows: Tensor, weights: Tensor) -> Tensor:
        """Resize `(c, rows, width)` of any type to `(c, H, W) float in [0, 1]`.

        Of other values than those that are kept, the outermost are wrong.
        """
        unit = to_unit_range(rows)
        with_alpha = picture_has_alpha(unit)
        if with_alpha:
            unit = torch.cat([premultiply(unit), unit[-1:]])
        parts = [unit[..., block.source] @ block.weights.T for block in self._columns]
        resized = (weights @ torch.cat(parts, -1))[None]
        if not with_alpha:
            return _clamped(resized)[0]
        alpha = resized[:, -1:].clamp(0, 1)
        # Where the kernel overshoots, colours do so as alpha does.
        colours = resized[:, :-1] * alpha / resized[:, -1:].clamp(min=LEAST_ALPHA)
        return unpremultiply(_clamped(colours, alpha), alpha)[0]


def resize(picture: Tensor, hr: Tensor, wraps: bool) -> None:
    """Make `(N, c, h, w)` smaller into `hr`; `wraps`: as if it repeated beyond its edges."""
    height, width = picture.shape[2:]
    ratio = max(height / hr.shape[2], width / hr.shape[3])
    margin = math.ceil(RESIZE_REACH * ratio) if wraps else 0
    resizer = StripResizer(hr, height + 2 * margin, width + 2 * margin, margin)
    columns = range(-margin, width + margin)
    for top in range(-margin, height + margin, BLOCK):
        rows = range(top, min(top + BLOCK, height + margin))
        resizer.strip(len(rows)).copy_(wrapped(picture, rows, columns))
        resizer.resize()


def wrapped(picture: Tensor, rows: range, columns: range) -> Tensor:
    """Return rows and columns of `(..., h, w)`, which repeats beyond its edges."""
    height, width = picture.shape[-2:]
    row, column = (torch.arange(span.start, span.stop) for span in (rows, columns))
    return picture[..., (row % height)[:, None], column % width]


def strip_bytes(lr: Tensor, rows: int, width: int, ratio: float) -> int:
    """Return the bytes of a strip of `rows` of pictures such as `lr`, and of what resizes it.

    `ratio`: how much larger the picture that comes is than the result.
    """
    images, channels = lr.shape[:2]
    block = math.ceil(max(BLOCK, ratio) + 2 * RESIZE_REACH * ratio)
    strips = (rows + 2 * block) * width * images * channels * lr.element_size()
    copies = FLOAT_COPIES + CLAMP_COPIES / ratio**2
    return strips + math.ceil(copies * block * width * channels * FLOAT_BYTES)


def _clamped(colours: Tensor, highest: Tensor | float = 1.0) -> Tensor:
    """Clamp `(1, c, H, W)` as `clamp_keeping_means` does, a channel at a time to save memory."""
    return torch.cat(
        [clamp_keeping_means(one, highest) for one in colours.chunk(colours.shape[1], 1)], 1
    )


@dataclass(frozen=True)
class _Axis:
    """Rows or columns: `source` pixels with a margin at either end, which become `target`."""

    source: int
    margin: int
    target: int

    def blocks(self, positions: range, overlap: int) -> Iterator[_Block]:
        """Yield blocks of these positions of the result, which may lie in the margin.

        With each block, `overlap` positions more are computed on either side, where there are any.
        """
        ratio = self._ratio
        length = max(int(BLOCK / ratio), 1)
        beyond = CLAMP_REACH if self.margin else 0
        for start in range(positions.start, positions.stop, length):
            stop = min(start + length, positions.stop)
            first = max(start - overlap, -beyond)
            last = min(stop + overlap, self.target + beyond)
            source, weights = self._weights(range(first, last))
            yield _Block(slice(start, stop), slice(start - first, stop - first), source, weights)

    @property
    def _ratio(self) -> float:
        return (self.source - 2 * self.margin) / self.target

    def _weights(self, positions: range) -> tuple[slice, Tensor]:
        """Return what positions of the result depend on, and the weights.

        The kernel is as much wider than a pixel as the result is smaller, cut at the source's ends.
        """
        ratio = self._ratio
        centres = torch.arange(positions.start, positions.stop, dtype=torch.float64) + 0.5
        centres = centres * ratio + self.margin
        first = max(math.floor(centres[0] - _RADIUS * ratio), 0)
        last = min(math.ceil(centres[-1] + _RADIUS * ratio), self.source)
        pixels = torch.arange(first, last, dtype=torch.float64) + 0.5
        weights = _cubic((pixels - centres[:, None]) / ratio)
        weights /= weights.sum(1, keepdim=True)
        return slice(first, last), weights.float()


def _cubic(distance: Tensor) -> Tensor:
    """Return the weights of Keys' cubic convolution with a = -0.5 (1981, equation 15)."""
    x = distance.abs()
    near = (1.5 * x - 2.5) * x**2 + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x <= 1, near, torch.where(x < _RADIUS, far, 0))
