"""SRVGGNetCompact, the small network of Real-ESRGAN (Wang et al. 2021, "Real-ESRGAN: Training
Real-World Blind Super-Resolution with Pure Synthetic Data", and the code published with it)."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.networks.generators.activation import PRELU_SLOPE, ChannelPReLU
from pipeline.networks.generators.base import (
    Generator,
    conv3x3,
    draws_weights,
    init_kaiming,
    radius_of,
)

LAST_INIT = 0.1
"""Factor of the last convolution's initial weights, so that the first results are near the input's
nearest neighbours (ESRGAN, section 3.1, smaller initialization)."""


class Compact(Generator):
    """A convolution, `blocks` more, and one to the pixels of the result, all of 3 × 3.

    Each but the last has a PReLU with a slope per channel. A pixel shuffle follows, and the input,
    enlarged by nearest neighbour, is added. 621,424 parameters at ×4 with 16 blocks. The weights'
    names are those of the public code.
    """

    architecture = "compact"

    def __init__(self, scale: int = 4, blocks: int = 16, features: int = 64) -> None:
        super().__init__()
        self.scale = scale
        self.config = {"scale": scale, "blocks": blocks, "features": features}
        layers: list[nn.Module] = [conv3x3(3, features), ChannelPReLU(features)]
        for _ in range(blocks):
            layers += [conv3x3(features, features), ChannelPReLU(features)]
        self.body = nn.Sequential(*layers, conv3x3(features, 3 * scale**2))
        if draws_weights(self.last_layer):
            self._init_weights()

    @property
    def receptive_radius(self) -> int:
        """18 with 16 blocks: one pixel for each convolution."""
        return radius_of((int(self.config["blocks"]) + 2, 1))

    @property
    def last_layer(self) -> nn.Conv2d:
        """The convolution to the result's pixels."""
        return cast(nn.Conv2d, self.body[-1])

    def forward(self, lr: Tensor) -> Tensor:
        """Enlarge `(N, 3, h, w) float in [0, 1]` to `(N, 3, h·scale, w·scale)`, not clamped."""
        residual = F.pixel_shuffle(self.body(lr), self.scale)
        return residual + F.interpolate(lr, scale_factor=float(self.scale), mode="nearest")

    @torch.no_grad()
    def _init_weights(self) -> None:
        """Draw weights that keep the variance behind a PReLU (He et al. 2015, equation 15)."""
        for layer in self.body:
            if isinstance(layer, nn.Conv2d):
                init_kaiming(layer, slope=PRELU_SLOPE)
        self.last_layer.weight.mul_(LAST_INIT)
