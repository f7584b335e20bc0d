"""Consistency of an enlarged picture with its input, for every network.

Networks fail on what their training did not hold: on flat saturated colours they draw stripes, at
the border of a picture they see its zero padding, and a dither of single pixels becomes another
colour. What is found here is no matter of taste: a value far outside of those around it, and a mean
that is not the input's.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.upscaling.local_means import GaussianWindow, blurred, shares

REACH = 7
"""Input pixels further away, and their blocks, do not change what is made consistent."""
# Of a line a quarter of an LR pixel wide, that pixel shows a quarter of the contrast.
_WIDENING = 3
# Between neighbouring levels of 8 bits a network knows better than the rounded input, except where
# all pixels nearby are equal: flat colours stay as they are.
_LEVEL = 1 / 255
# Rounding adds as much again. Corrected means of less cost LPIPS on compressed pictures.
_MEAN_TOLERANCE = _LEVEL / 2
_WINDOW = GaussianWindow(sigma=1.4, radius=3)


def make_consistent(sr: Tensor, lr: Tensor) -> Tensor:
    """Return `sr` with the local range and the local means of `lr`.

    `sr` is `(N, C, h·scale, w·scale)` and `lr` `(N, C, h, w)`, both float32 in [0, 1]. Each value
    of `sr` is clamped to the range of the nearest 3 × 3 pixels of `lr`, widened by three times its
    width and, unless that is 0, one level. Then all values of an LR pixel are moved by the same
    share of their way to the ends of that range, by what the means of Gaussian windows are off
    those of `lr` beyond half a level: one step of back-projection (Irani and Peleg 1991, “Improving
    Resolution by Image Registration”) for low frequencies alone, since compression artefacts should
    not come back. As much as a window's mean is off is given to its pixels in proportion to their
    room, and windows are mirrored at the border, so all of it arrives.
    """
    lowest, highest = range_nearby(lr)
    more = _WIDENING * (highest - lowest) + _LEVEL * (highest > lowest)
    lowest, highest = (lowest - more).clamp(min=0), (highest + more).clamp(max=1)
    images, channels, height, width = lr.shape
    scale = sr.shape[-1] // width
    result = sr.clone(memory_format=torch.contiguous_format)
    blocks = result.view(images, channels, height, scale, width, scale)
    blocks.clamp_(_per_block(lowest), _per_block(highest))
    means = F.avg_pool2d(result, scale)
    missing = F.softshrink(blurred(lr - means, _WINDOW), _MEAN_TOLERANCE)
    up, down = shares(missing, highest - means, means - lowest, _WINDOW)
    blocks.mul_(_per_block((1 - up) * (1 - down)))
    blocks.add_(_per_block(up * (1 - down) * highest + down * lowest))
    return result


def range_nearby(values: Tensor) -> tuple[Tensor, Tensor]:
    """Return the lowest and the highest of the nearest 3 × 3 values of `(N, C, h, w)`."""
    return -_highest_nearby(-values), _highest_nearby(values)


def _highest_nearby(values: Tensor) -> Tensor:
    """Return the highest of the nearest 3 × 3 values of `(N, C, h, w)`."""
    # PyTorch's own pooling takes five times as long on a CPU.
    extended = F.pad(values, (1, 1, 1, 1), mode="replicate")
    rows = torch.maximum(
        torch.maximum(extended[:, :, :-2], extended[:, :, 2:]), extended[:, :, 1:-1]
    )
    return torch.maximum(torch.maximum(rows[..., :-2], rows[..., 2:]), rows[..., 1:-1])


def _per_block(values: Tensor) -> Tensor:
    """Return `(N, C, h, w)` as `(N, C, h, 1, w, 1)`, one value per block of an LR pixel."""
    return values[:, :, :, None, :, None]
