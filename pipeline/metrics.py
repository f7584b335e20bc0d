"""Distortion metrics of super-resolution: PSNR, SSIM and MS-SSIM.

Images are `(N, C, H, W)`, float in [0, 255]. `border` pixels at each edge are not measured.
"""

import math
from collections.abc import Callable, Iterator, Sequence

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
STRIP_PIXELS = 2**20
"""of a large picture that are measured at once; SSIM takes 100 bytes for each"""
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


def psnr_of_luma(a: torch.Tensor, b: torch.Tensor, border: int) -> float:
    """Return the PSNR, dB, of Y of two pictures `(3, H, W) uint8`, of any size: strip by strip.

    It is `PSNR_CEILING` at most, as of equal pictures.
    """
    if a[0].numel() <= STRIP_PIXELS:
        whole = psnr(luma(a[None].float()), luma(b[None].float()), border)
        return whole.clamp(max=PSNR_CEILING).item()
    strips = _luma_strips(a, b, border, reach=0)
    error = _weighted_mean([((x - y).double().square().mean().item(), n) for x, y, n in strips])
    return min(10 * math.log10(PEAK**2 / error), PSNR_CEILING) if error else PSNR_CEILING


def ssim_of_luma(a: torch.Tensor, b: torch.Tensor, border: int) -> float:
    """Return the SSIM of Y of two pictures `(3, H, W) uint8`, of any size: strip by strip.

    It is that of the whole, within rounding: strips overlap by a window.
    """
    strips = _luma_strips(a, b, border, reach=SSIM_WINDOW - 1)
    return _weighted_mean([(ssim(x, y, border=0).item(), rows) for x, y, rows in strips])


def _luma_strips(
    a: torch.Tensor, b: torch.Tensor, border: int, reach: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor, int]]:
    """Yield Y of strips of two pictures inside the border, and how many rows each stands for.

    A strip has `reach` rows more, which the next one has, too.
    """
    height, width = a.shape[-2:]
    a, b = (image[None, :, border : height - border, border : width - border] for image in (a, b))
    positions = a.shape[-2] - reach
    rows = max(STRIP_PIXELS // width, 1)
    for top in range(0, positions, rows):
        bottom = min(top + rows, positions)
        strip = slice(top, bottom + reach)
        yield luma(a[:, :, strip].float()), luma(b[:, :, strip].float()), bottom - top


def _weighted_mean(values: Sequence[tuple[float, int]]) -> float:
    return sum(value * weight for value, weight in values) / sum(weight for _, weight in values)


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
