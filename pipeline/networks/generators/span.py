"""SPAN (Wan et al. 2024, "Swift Parameter-free Attention Network for Efficient
Super-Resolution", section 3)."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.networks.generators.base import (
    Generator,
    conv3x3,
    draws_weights,
    init_icnr,
    radius_of,
)
from pipeline.networks.generators.branches import BranchedConv

BLOCKS = 6
INPUT_GAIN = 8.0
"""How much larger than the input the first features are at first. Attention near zero is linear, so
that a block squares small features, and six blocks leave nothing of them. The public code
multiplies its input by 255 instead. With the three gains here a short training is 1.2 dB ahead of
one without (docs/experiments.md); they were not tried apart."""
SILU_GAIN = 2**0.5
"""Behind a SiLU, which halves the variance of large values as ReLU does (He et al. 2015)."""
ATTENTION_GAIN = 2.0
"""Of the block's last layer, for what attention takes away: its weights are half at most."""


class SPAN(Generator):
    """A convolution, six blocks with attention that has no parameters, and one pixel shuffle.

    Features of four depths make the result: of the first convolution, the first block, the last
    block, and the first layer in the last block. 426,288 parameters at ×4 with 48 features, once
    `pipeline.networks.folding` has made one convolution of each three-fold branch; 1,840,488 are
    trained. The weights' names are those of the public code. Its shift by DIV2K's mean colour is
    left out, as the buffer `no_norm` says to other programs.
    """

    architecture = "span"

    no_norm: Tensor

    def __init__(self, scale: int = 4, features: int = 48) -> None:
        super().__init__()
        self.scale = scale
        self.config = {"scale": scale, "features": features}
        self.register_buffer("no_norm", torch.zeros(1))
        self.conv_1 = BranchedConv(3, features, INPUT_GAIN)
        for number in range(1, BLOCKS + 1):
            self.add_module(f"block_{number}", AttentionBlock(features))
        self.conv_2 = BranchedConv(features, features)
        self.conv_cat = nn.Conv2d(4 * features, features, 1)
        self.upsampler = nn.Sequential(conv3x3(features, 3 * scale**2), nn.PixelShuffle(scale))
        if draws_weights(self.last_layer):
            init_icnr(self.last_layer, scale)
            self.last_layer.weight.data.div_(INPUT_GAIN)

    @property
    def receptive_radius(self) -> int:
        """21: one pixel for each convolution in a row."""
        return radius_of((1 + 3 * BLOCKS + 2, 1))

    @property
    def last_layer(self) -> nn.Conv2d:
        """The convolution to the result's pixels."""
        return cast(nn.Conv2d, self.upsampler[0])

    def forward(self, lr: Tensor) -> Tensor:
        """Enlarge `(N, 3, h, w) float in [0, 1]` to `(N, 3, h·scale, w·scale)`, not clamped."""
        shallow = inner = self.conv_1(lr)
        outputs = [shallow]
        for number in range(1, BLOCKS + 1):
            output, inner = self.get_submodule(f"block_{number}")(outputs[-1])
            outputs.append(output)
        depths = [shallow, self.conv_2(outputs[-1]), outputs[1], inner]
        sr: Tensor = self.upsampler(self.conv_cat(torch.cat(depths, 1)))
        return sr


class AttentionBlock(nn.Module):
    """Three convolutions; how far the last is from zero is the attention, odd and without weights.

    Equations 4 to 6: with H the last convolution's result, `(x + H) · (σ(H) − ½)`.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.c1_r = BranchedConv(features, features)
        self.c2_r = BranchedConv(features, features, SILU_GAIN)
        self.c3_r = BranchedConv(features, features, ATTENTION_GAIN)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the block's result and its first layer's, each `(N, features, h, w)`, as `x`."""
        first = F.silu(self.c1_r(x))
        last = self.c3_r(F.silu(self.c2_r(first)))
        return (x + last) * (torch.sigmoid(last) - 0.5), first
