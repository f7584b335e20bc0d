"""The terms of SRGAN's loss (Ledig et al. 2017), as the reproduced article weighs them."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F


def pixel_loss(kind: Literal["mse", "l1"], sr: Tensor, hr: Tensor) -> Tensor:
    """Mean squared (equation 4) or absolute error of `(N, 3, H, W) float in [0, 1]`."""
    return F.mse_loss(sr, hr) if kind == "mse" else F.l1_loss(sr, hr)


def content_loss(sr_features: Sequence[Tensor], hr_features: Sequence[Tensor]) -> Tensor:
    """Sum over VGG layers of the mean squared error of their features (equation 5, summed)."""
    errors = [
        F.mse_loss(sr.float(), hr.float()) for sr, hr in zip(sr_features, hr_features, strict=True)
    ]
    return torch.stack(errors).sum()


def adversarial_loss(sr_logits: Tensor) -> Tensor:
    """-log D(G(LR)), the mean over `(N, 1)` logits (equation 6)."""
    return F.binary_cross_entropy_with_logits(sr_logits.float(), torch.ones_like(sr_logits.float()))


def discriminator_loss(hr_logits: Tensor, sr_logits: Tensor) -> Tensor:
    """-log D(HR) - log(1 - D(G(LR))), the mean over `(N, 1)` logits (equation 2)."""
    real, fake = hr_logits.float(), sr_logits.float()
    return F.binary_cross_entropy_with_logits(
        real, torch.ones_like(real)
    ) + F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))
