"""Distortion metrics of super-resolution: PSNR, SSIM and MS-SSIM.

Images are `(N, C, H, W)`, float in [0, 255]. `border` pixels at each edge are not measured.
"""

from collections.abc import Callable

import torch
from pytorch_msssim import ms_ssim as windowed_ms_ssim
from pytorch_msssim import ssim as windowed_ssim

PEAK = 255.0
PSNR_CEILING = 100.0
"""dB, stands for the infinite PSNR of equal images, so that means stay finite. One level of one
sample of a 512 × 512 image is 102 dB."""
SSIM_WINDOW = 11
SSIM_SIGMA = 1.5
MS_SSIM_SIDE = (SSIM_WINDOW - 1) * 2**4 + 1
"""pixels, the shortest side whose fifth scale still holds a window"""
# ITU-R BT.601, R'G'B' of 0..255 to Y' of 16..235, as MATLAB's rgb2ycbcr has it.
LUMA_WEIGHTS = (65.481 / 255, 128.553 / 255, 24.966 / 255)
LUMA_OFFSET = 16.0


def luma(rgb: torch.Tensor) -> torch.Tensor:
    """Return Y of BT.601 in studio swing, unrounded: `(N, 1, H, W)` in [16, 235].

    `rgb` is `(N, 3, H, W)` in [0, 255]. Published PSNR_Y and SSIM_Y are of this channel.
    """
    weights = torch.tensor(LUMA_WEIGHTS, dtype=rgb.dtype, device=rgb.device)
    return (rgb * weights.view(1, 3, 1, 1)).sum(dim=1, keepdim=True) + LUMA_OFFSET


def psnr(a: torch.Tensor, b: torch.Tensor, border: int) -> torch.Tensor:
    """Return the peak signal-to-noise ratio of each pair, dB, `(N,)`; infinite for equal images.

    The error is the mean square over all channels. Raises `ValueError` where the shapes differ or
    no pixel is inside the border.
    """
    a, b = _inside(a, b, border, least=1)
    error = (a - b).square().mean(dim=(1, 2, 3))
    return 10 * torch.log10(PEAK**2 / error)


def ssim(a: torch.Tensor, b: torch.Tensor, border: int) -> torch.Tensor:
    """Return the structural similarity of each pair, at most 1, `(N,)`.

    Wang et al. 2004: Gaussian window of 11 × 11, σ 1.5, K1 0.01, K2 0.03, at positions where the
    window is fully inside; the mean over positions and channels. Raises `ValueError` where the
    shapes differ or no window fits inside the border.
    """
    a, b = _inside(a, b, border, least=SSIM_WINDOW)
    return _similarity(windowed_ssim, a, b)


def ms_ssim(a: torch.Tensor, b: torch.Tensor, border: int) -> torch.Tensor:
    """Return the structural similarity over five scales of each pair, at most 1, `(N,)`.

    Wang et al. 2003, with SSIM's window and constants. Raises `ValueError` where the shapes differ
    or fewer than `MS_SSIM_SIDE` pixels are inside the border.
    """
    a, b = _inside(a, b, border, least=MS_SSIM_SIDE)
    return _similarity(windowed_ms_ssim, a, b)


def _similarity(
    measure: Callable[..., torch.Tensor], a: torch.Tensor, b: torch.Tensor
) -> torch.Tensor:
    # Pair by pair the intermediate images stay in the CPU's cache: three times as fast as a batch.
    pairs = zip(torch.split(a, 1), torch.split(b, 1), strict=True)
    options = {
        "data_range": PEAK,
        "size_average": False,
        "win_size": SSIM_WINDOW,
        "win_sigma": SSIM_SIGMA,
    }
    # Rounding lets flat images exceed 1.
    return torch.cat([measure(x, y, **options) for x, y in pairs]).clamp(max=1.0)


def _inside(
    a: torch.Tensor, b: torch.Tensor, border: int, least: int
) -> tuple[torch.Tensor, torch.Tensor]:
    if a.shape != b.shape or a.ndim != 4:
        raise ValueError(f"two batches (N, C, H, W) of one shape needed: {a.shape}, {b.shape}")
    height, width = a.shape[-2:]
    if min(height, width) - 2 * border < least:
        raise ValueError(
            f"images of {width}×{height} have less than {least} pixels inside a border of {border}"
        )
    inside = (..., slice(border, height - border), slice(border, width - border))
    return a[inside].float(), b[inside].float()
