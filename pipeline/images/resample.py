"""Downscaling: originals to the size of the set, and HR to LR."""

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F


def downscale(hr: Tensor, scale: int) -> Tensor:
    """Downscale `(N, 3, H, W) uint8` to `(N, 3, H/scale, W/scale) uint8` by antialiased bicubic.

    Within one level of Pillow's BICUBIC. Raises `ValueError` where a side is no multiple of
    `scale`.
    """
    size = lr_size(hr.shape[-2], hr.shape[-1], scale)
    if hr.device.type == "cpu":
        return F.interpolate(hr, size, mode="bicubic", antialias=True)
    smooth = F.interpolate(hr.float(), size, mode="bicubic", antialias=True)
    return smooth.round().clamp(0, 255).to(hr.dtype)


def lr_size(height: int, width: int, scale: int) -> tuple[int, int]:
    """Return height and width of the LR image. Raises `ValueError` where a side is no multiple."""
    if height % scale or width % scale:
        raise ValueError(f"{width}×{height} is no multiple of {scale}")
    return height // scale, width // scale


def lanczos(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Scale `(H, W, 3) uint8` to `(height, width, 3) uint8` by antialiased Lanczos (three lobes).

    Uses PyTorch, which is several times as fast as Pillow and within one level of it; Pillow where
    PyTorch has no Lanczos.
    """
    if pixels.shape[:2] == (height, width):
        return np.ascontiguousarray(pixels)
    if not _torch_has_lanczos():
        image = Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS)
        return np.asarray(image)
    batch = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None]
    small = F.interpolate(batch, (height, width), mode="lanczos", antialias=True)
    return np.ascontiguousarray(small[0].permute(1, 2, 0).numpy())


@cache
def _torch_has_lanczos() -> bool:
    try:
        F.interpolate(torch.zeros(1, 3, 8, 8, dtype=torch.uint8), 4, mode="lanczos", antialias=True)
    except (NotImplementedError, ValueError, RuntimeError):
        return False
    return True
