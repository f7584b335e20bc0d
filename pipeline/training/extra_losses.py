"""Further terms of the generator's loss, which `train.extra_losses` names.

Images are `(N, 3, H, W) float in [0, 1]`. Each loss is `() float`, 0 for equal images.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from pytorch_msssim import ms_ssim, ssim
from torch import Tensor
from torch.nn import functional as F

from pipeline.networks.perceptual.dists import Dists
from pipeline.networks.perceptual.lpips import Lpips

COLOUR_SIGMA = 3.0
_COLOUR_RADIUS = 10
ARTIFACT_WINDOW = 7


@dataclass(frozen=True)
class LossImages:
    """What losses compare; `average_sr` is the averaged generator's result, where it is needed."""

    sr: Tensor
    hr: Tensor
    average_sr: Tensor | None = None


@dataclass(frozen=True)
class ExtraLosses:
    """The terms of `weights`, by the names of `ExtraLoss`, and the networks of some of them."""

    weights: Mapping[str, float]
    networks: Mapping[str, Lpips | Dists]

    @property
    def needs_average(self) -> bool:
        """Whether the averaged generator's results are needed."""
        return "artifacts" in self.weights

    def __call__(self, images: LossImages) -> dict[str, Tensor]:
        """Return name → loss, unweighted."""
        return {name: self._loss(name, images) for name in self.weights}

    def _loss(self, name: str, images: LossImages) -> Tensor:
        sr, hr = images.sr, images.hr
        match name:
            case "ssim":
                single_scale: Tensor = ssim(sr, hr, data_range=1.0)
                return 1 - single_scale
            case "ms_ssim":
                multi_scale: Tensor = ms_ssim(sr, hr, data_range=1.0)
                return 1 - multi_scale
            case "gradient":
                return gradient_loss(sr, hr)
            case "colour":
                return colour_loss(sr, hr)
            case "artifacts":
                assert images.average_sr is not None
                return artifact_loss(sr, hr, images.average_sr)
            case _:
                distances: Tensor = self.networks[name](255 * sr, 255 * hr)
                return distances.mean()


NO_EXTRA_LOSSES = ExtraLosses({}, {})


def gradient_loss(sr: Tensor, hr: Tensor) -> Tensor:
    """Return how much strengths of edges differ (Mathieu et al. 2016, their gradient
    difference loss with α = 1).

    They are absolute differences of neighbours, along rows and along columns; means instead of
    sums.
    """
    rows = F.l1_loss(sr.diff(dim=-1).abs(), hr.diff(dim=-1).abs())
    return rows + F.l1_loss(sr.diff(dim=-2).abs(), hr.diff(dim=-2).abs())


def colour_loss(sr: Tensor, hr: Tensor) -> Tensor:
    """Return the squared error of blurred images (Ignatov et al. 2017, their colour loss).

    It sees colour and brightness, and no texture. The mean instead of the sum.
    """
    offsets = torch.arange(-_COLOUR_RADIUS, _COLOUR_RADIUS + 1, dtype=sr.dtype, device=sr.device)
    weights = (-0.5 * (offsets / COLOUR_SIGMA).square()).exp()
    kernel = (weights / weights.sum()).view(1, 1, 1, -1).expand(3, 1, 1, -1)
    # Inside the image alone, as far as it is large enough for that.
    padding = max(0, 2 * _COLOUR_RADIUS + 1 - min(sr.shape[-2:]))
    difference = F.pad(sr - hr, [math.ceil(padding / 2)] * 4, mode="replicate")
    blurred = F.conv2d(F.conv2d(difference, kernel, groups=3), kernel.mT, groups=3)
    return blurred.square().mean()


def artifact_loss(sr: Tensor, hr: Tensor, average_sr: Tensor) -> Tensor:
    """Return the absolute error where it varies as artifacts do (Liang et al. 2022, "LDL").

    Errors are weighted by their variance in a window of 7 × 7 pixels, times that of the image to
    the power of a fifth, and by 0 where the averaged generator's result is further from HR. The
    weights have no gradient.
    """
    with torch.no_grad():
        error = (hr - sr).abs().sum(dim=1, keepdim=True)
        average_error = (hr - average_sr).abs().sum(dim=1, keepdim=True)
        radius = ARTIFACT_WINDOW // 2
        padded = F.pad(error, [radius] * 4, mode="reflect")
        mean = F.avg_pool2d(padded, ARTIFACT_WINDOW, stride=1)
        square = F.avg_pool2d(padded.square(), ARTIFACT_WINDOW, stride=1)
        local = (square - mean.square()).clamp_min(0)
        whole = error.var(dim=(1, 2, 3), keepdim=True) ** 0.2
        weights = torch.where(error < average_error, 0.0, local * whole)
    return (weights * (sr - hr).abs()).mean()
