"""Sharpening of HR images, from which networks learn results sharper than the pictures."""

import torch
from torch import Tensor
from torch.nn import functional as F

SIDE = 51
SIGMA = 8.0
"""Side and standard deviation of the blur, pixels: what OpenCV makes of Real-ESRGAN's radius."""
THRESHOLD = 10.0
"""Levels of 255 by which a pixel differs from the blur before it is sharpened."""


def unsharp(images: Tensor, weight: float) -> Tensor:
    """Sharpen edges of `(N, 3, H, W) uint8` by an unsharp mask, on their device.

    The difference from a blurred image is added `weight` times where it is above `THRESHOLD`, with
    a soft transition: flat areas and grain stay. Wang et al. 2021, "Real-ESRGAN: Training
    Real-World Blind Super-Resolution with Pure Synthetic Data", section 3.4, with weight 0.5.
    """
    levels = images.float()
    residual = levels - _blurred(levels)
    share = _blurred((residual.abs() > THRESHOLD).float())
    sharp = (levels + weight * residual).clamp(0, 255)
    return (levels + share * (sharp - levels)).round().to(images.dtype)


def _blurred(images: Tensor) -> Tensor:
    offsets = torch.arange(SIDE, device=images.device) - SIDE // 2
    weights = torch.exp(-0.5 * (offsets / SIGMA) ** 2)
    kernel = (weights / weights.sum()).expand(3, 1, 1, SIDE)
    padding = SIDE // 2
    rows = F.pad(images, (padding, padding, 0, 0), mode="replicate")
    rows = F.conv2d(rows, kernel, groups=3)
    columns = F.pad(rows, (0, 0, padding, padding), mode="replicate")
    return F.conv2d(columns, kernel.transpose(2, 3), groups=3)
