"""A picture resized while it is made, so that it is never held whole."""

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.networks.tiles import FLOAT_BYTES
from pipeline.upscaling.transparency import (
    from_unit_range,
    picture_has_alpha,
    premultiply,
    to_unit_range,
    unpremultiply,
)

RADIUS = 2
"""of the bicubic kernel, pixels of the smaller picture"""
# Pixels of the larger picture. Weights are matrices: larger blocks hold more zeros, smaller ones
# are more products.
BLOCK = 64
# Of the rows of a block, while they are resized: premultiplied, and in parts of the result's width.
FLOAT_COPIES = 4


@dataclass(frozen=True)
class _Block:
    """Positions of the result along one axis, and the weights of those that they depend on."""

    target: slice
    source: slice
    weights: Tensor
    """(target, source)"""


class StripResizer:
    """Makes a picture smaller that comes in strips of rows: antialiased bicubic interpolation.

    Equal to that of PyTorch with `antialias`, whose a is -0.5, of premultiplied colours. `hr`:
    `(N, c, H, W)`, which is filled. `height`, `width`: of the picture that comes, with `margin`
    pixels on each side that lie beyond it and are weighed only.
    """

    def __init__(self, hr: Tensor, height: int, width: int, margin: int) -> None:
        self._hr = hr
        self._rows = deque(_blocks(height, hr.shape[2], margin))
        self._columns = list(_blocks(width, hr.shape[3], margin))
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
                result.copy_(from_unit_range(resized, result.dtype))
        first = self._rows[0].source.start if self._rows else bottom
        self._pending, self._top = self._pending[:, :, first - self._top :].clone(), first

    def _resized(self, rows: Tensor, weights: Tensor) -> Tensor:
        """Resize `(c, rows, width)` of any type to `(c, H, W) float in [0, 1]`."""
        unit = to_unit_range(rows)
        with_alpha = picture_has_alpha(unit)
        if with_alpha:
            unit = torch.cat([premultiply(unit), unit[-1:]])
        parts = [unit[..., block.source] @ block.weights.T for block in self._columns]
        resized = (weights @ torch.cat(parts, -1)).clamp(0, 1)
        return unpremultiply(resized[:-1], resized[-1:]) if with_alpha else resized


def resize(picture: Tensor, hr: Tensor, wraps: bool) -> None:
    """Make `(N, c, h, w)` smaller into `hr`; `wraps`: as if it repeated beyond its edges."""
    height, width = picture.shape[2:]
    ratio = max(height / hr.shape[2], width / hr.shape[3])
    margin = math.ceil(RADIUS * ratio) if wraps else 0
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
    block = math.ceil(max(BLOCK, ratio) + 2 * RADIUS * ratio)
    strips = (rows + 2 * block) * width * images * channels * lr.element_size()
    return strips + FLOAT_COPIES * block * width * channels * FLOAT_BYTES


def _blocks(source: int, target: int, margin: int) -> Iterator[_Block]:
    """Yield blocks of `target` pixels, each with its weights of `source` pixels, margin included.

    The kernel is as much wider than a pixel as the result is smaller, cut at the source's ends.
    """
    ratio = (source - 2 * margin) / target
    length = max(int(BLOCK / ratio), 1)
    for start in range(0, target, length):
        stop = min(start + length, target)
        centres = (torch.arange(start, stop, dtype=torch.float64) + 0.5) * ratio + margin
        first = max(math.floor(centres[0] - RADIUS * ratio), 0)
        last = min(math.ceil(centres[-1] + RADIUS * ratio), source)
        positions = torch.arange(first, last, dtype=torch.float64) + 0.5
        weights = _cubic((positions - centres[:, None]) / ratio)
        weights /= weights.sum(1, keepdim=True)
        yield _Block(slice(start, stop), slice(first, last), weights.float())


def _cubic(distance: Tensor) -> Tensor:
    """Return the weights of Keys' cubic convolution with a = -0.5 (1981, equation 15)."""
    x = distance.abs()
    near = (1.5 * x - 2.5) * x**2 + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x <= 1, near, torch.where(x < RADIUS, far, 0))
