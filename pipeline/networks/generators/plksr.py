"""PLKSR (Lee et al. 2024, "Partial Large Kernel CNNs for Efficient Super-Resolution",
section 3)."""

from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.networks.generators.base import (
    Generator,
    conv3x3,
    draws_weights,
    init_kaiming,
    radius_of,
)

PARTS = 4
"""One channel in so many goes through the large kernel."""
SMALL_INIT = 0.1
"""Factor of the weights that end a branch, so that the first results are near the input's nearest
neighbours (Wang et al. 2018, ESRGAN, section 3.1, smaller initialization)."""


class PLKSR(Generator):
    """A convolution, `blocks` residual blocks with large kernels, and one pixel shuffle.

    The input, enlarged by nearest neighbour, is added. 1,065,904 parameters at ×4 with the default
    sizes. The paper's large network has 28 blocks, kernels of 17, `mixer="dccm"` and
    `attention="element"`; its small one 12 blocks, kernels of 13 and `mixer="dccm"`. The weights'
    names are those of the public code.
    """

    architecture = "plksr"

    def __init__(
        self,
        scale: int = 4,
        blocks: int = 8,
        features: int = 64,
        kernel: int = 13,
        mixer: Literal["ccm", "dccm"] = "ccm",
        attention: Literal["none", "element"] = "none",
    ) -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError(f"its kernel is {kernel}, which is even")
        if features % PARTS:
            raise ValueError(f"its {features} features are no multiple of {PARTS}")
        self.scale = scale
        self.config = {
            "scale": scale,
            "blocks": blocks,
            "features": features,
            "kernel": kernel,
            "mixer": mixer,
            "attention": attention,
        }
        self.feats = nn.Sequential(
            conv3x3(3, features),
            *(PLKBlock(features, kernel, mixer, attention) for _ in range(blocks)),
            conv3x3(features, 3 * scale**2),
        )
        if draws_weights(self.last_layer):
            init_kaiming(self.last_layer, SMALL_INIT)

    @property
    def receptive_radius(self) -> int:
        """58 with 8 blocks and kernels of 13."""
        in_block = int(self.config["kernel"]) // 2 + 1
        in_block += self.config["mixer"] == "dccm"
        in_block += self.config["attention"] == "element"
        return radius_of((1 + int(self.config["blocks"]) * in_block + 1, 1))

    @property
    def last_layer(self) -> nn.Conv2d:
        """The convolution to the result's pixels."""
        return cast(nn.Conv2d, self.feats[-1])

    def forward(self, lr: Tensor) -> Tensor:
        """Enlarge `(N, 3, h, w) float in [0, 1]` to `(N, 3, h·scale, w·scale)`, not clamped."""
        residual = F.pixel_shuffle(self.feats(lr), self.scale)
        return residual + F.interpolate(lr, scale_factor=float(self.scale), mode="nearest")


class PLKBlock(nn.Module):
    """Channel mixer, large kernel for a part of the channels, attention, 1 × 1, and a skip."""

    def __init__(self, features: int, kernel: int, mixer: str, attention: str) -> None:
        super().__init__()
        second = 3 if mixer == "dccm" else 1
        # Misspelt in the public code, whose names these are.
        self.channe_mixer = nn.Sequential(
            conv3x3(features, 2 * features),
            nn.GELU(),
            nn.Conv2d(2 * features, features, second, padding=second // 2),
        )
        self.lk = PartialConv(features // PARTS, kernel)
        self.attn = ElementAttention(features) if attention == "element" else nn.Identity()
        self.refine = nn.Conv2d(features, features, 1)
        if draws_weights(self.refine):
            for convolution in (self.channe_mixer[0], self.channe_mixer[2], self.lk.conv):
                init_kaiming(cast(nn.Conv2d, convolution))
            init_kaiming(self.refine, SMALL_INIT)

    def forward(self, x: Tensor) -> Tensor:
        """Return what the block makes of `(N, features, h, w)`, of the same shape."""
        y: Tensor = self.refine(self.attn(self.lk(self.channe_mixer(x))))
        return x + y


class PartialConv(nn.Module):
    """A large kernel for the first `channels` of its input (equations 3 and 4)."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.channels = channels
        self.conv = nn.Conv2d(channels, channels, kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve the first channels of `(N, features, h, w)`; the others stay."""
        return torch.cat([self.conv(x[:, : self.channels]), x[:, self.channels :]], 1)


class ElementAttention(nn.Module):
    """Multiply each value by a weight of its own, from its neighbours."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.f = nn.Sequential(conv3x3(features, features), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """Weight the values of `(N, features, h, w)`."""
        weights: Tensor = self.f(x)
        return x * weights
