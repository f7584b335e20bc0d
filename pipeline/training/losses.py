"""SRGAN's losses. Equations are those of Ledig et al. 2017 where no other paper is named."""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Mean = Callable[[Tensor], Tensor]
"""the mean of a tensor over the whole batch, of which a process may have a part"""

ROUNDING_ERROR = 1 / 12 / 255**2
"""mean squared error of rounding to 8 bits"""


def pixel_loss(kind: Literal["mse", "l1", "psnr"], sr: Tensor, hr: Tensor) -> Tensor:
    """Return the mean squared error (equation 4), the mean absolute error, or -PSNR in dB.

    Images are `(N, 3, H, W) float in [0, 1]`. PSNR is the mean over images, each of which counts
    the same however large its error (Chen et al. 2021, "HINet"); the error of rounding is added, so
    that an image without error stays finite.
    """
    if kind == "l1":
        return F.l1_loss(sr, hr)
    if kind == "mse":
        return F.mse_loss(sr, hr)
    errors = F.mse_loss(sr, hr, reduction="none").mean((1, 2, 3))
    return 10 * torch.log10(errors + ROUNDING_ERROR).mean()


def content_loss(sr_features: Sequence[Tensor], hr_features: Sequence[Tensor]) -> Tensor:
    """Return the mean squared error of VGG features (equation 5), summed over layers."""
    errors = [
        F.mse_loss(sr.float(), hr.float()) for sr, hr in zip(sr_features, hr_features, strict=True)
    ]
    return torch.stack(errors).sum()


def adversarial_loss(
    hr_logits: Tensor | None, sr_logits: Tensor, mean: Mean | None = None
) -> Tensor:
    """Return -log D(G(LR)), the mean over all logits (equation 6).

    Logits are `(N, 1)`, or `(N, 1, H, W)` of a discriminator per pixel. With a `mean` over the
    whole batch it is the relativistic average loss (Wang et al. 2018, "ESRGAN", equation 2), which
    also makes HR crops look less real than results; it alone needs `hr_logits`.
    """
    fake = sr_logits.float()
    if mean is None:
        return _binary_cross_entropy(fake, 1.0)
    assert hr_logits is not None
    real = hr_logits.float()
    fake_loss = _binary_cross_entropy(fake - mean(real), 1.0)
    return _binary_cross_entropy(real - mean(fake), 0.0) + fake_loss


def discriminator_loss(hr_logits: Tensor, sr_logits: Tensor, mean: Mean | None = None) -> Tensor:
    """Return -log D(HR) - log(1 - D(G(LR))), the mean over all logits (equation 2).

    Logits are `(N, 1)`, or `(N, 1, H, W)` of a discriminator per pixel. With a `mean` over the
    whole batch D is relativistic: it compares each logit with the mean of the others (ESRGAN,
    equation 1).
    """
    real, fake = hr_logits.float(), sr_logits.float()
    if mean is not None:
        real, fake = real - mean(fake), fake - mean(real)
    return _binary_cross_entropy(real, 1.0) + _binary_cross_entropy(fake, 0.0)


def _binary_cross_entropy(logits: Tensor, target: float) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))
