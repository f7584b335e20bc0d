"""RRDBNet, the generator of ESRGAN (Wang et al. 2018, "ESRGAN: Enhanced Super-Resolution Generative
Adversarial Networks", figure 4)."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.networks.generators.base import (
    Generator,
    conv3x3,
    draws_weights,
    init_kaiming,
    radius_of,
    upsampling_factors,
    upsampling_sizes,
)

RESIDUAL_SCALE = 0.2
"""β of the paper (section 3.1, residual scaling): the factor of what a branch adds."""
INIT_SCALE = 0.1
"""Factor of the dense blocks' initial weights (section 3.1, smaller initialization)."""
LEAKY_SLOPE = 0.2


class RRDBNet(Generator):
    """A convolution, `blocks` residual-in-residual dense blocks with a long skip, and log2(scale)
    ×2 upsamplers, at ×3 one of ×3: nearest neighbour and a convolution.

    16,697,987 parameters at ×4 with the paper's 23 blocks, 4,467,779 with 6. No normalisation. The
    weights' names are those of the public code, so that its files load here and ours there.
    """

    architecture = "rrdb"

    def __init__(
        self, scale: int = 4, blocks: int = 23, features: int = 64, growth: int = 32
    ) -> None:
        super().__init__()
        self.scale = scale
        self.config = {"scale": scale, "blocks": blocks, "features": features, "growth": growth}
        self.conv_first = conv3x3(3, features)
        self.body = nn.Sequential(*(RRDB(features, growth) for _ in range(blocks)))
        self.conv_body = conv3x3(features, features)
        for number, _ in self._upsamplers:
            self.add_module(f"conv_up{number}", conv3x3(features, features))
        self.conv_hr = conv3x3(features, features)
        self.conv_last = conv3x3(features, 3)

    @property
    def _upsamplers(self) -> Iterator[tuple[int, int]]:
        """Yield number and factor of each upsampler."""
        return enumerate(upsampling_factors(self.scale), 1)

    @property
    def receptive_radius(self) -> int:
        """349 at ×4 with 23 blocks, 94 with 6: one pixel for each convolution in a row."""
        in_body = 15 * int(self.config["blocks"]) + 1
        # Nearest neighbours add nothing, the convolution after them one pixel of its size.
        upsamplers = [(1, size) for size in upsampling_sizes(self.scale)[1:]]
        return radius_of((1 + in_body, 1), *upsamplers, (2, self.scale))

    @property
    def last_layer(self) -> nn.Conv2d:
        """The output convolution."""
        return self.conv_last

    def forward(self, lr: Tensor) -> Tensor:
        """Enlarge `(N, 3, h, w) float in [0, 1]` to `(N, 3, h·scale, w·scale)`, not clamped."""
        shallow = self.conv_first(lr)
        deep = shallow + self.conv_body(self.body(shallow))
        for number, factor in self._upsamplers:
            enlarged = F.interpolate(deep, scale_factor=float(factor), mode="nearest")
            deep = _activated(self.get_submodule(f"conv_up{number}")(enlarged))
        sr: Tensor = self.conv_last(_activated(self.conv_hr(deep)))
        return sr


class RRDB(nn.Module):
    """Three dense blocks, and a skip around them."""

    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        self.rdb1 = DenseBlock(features, growth)
        self.rdb2 = DenseBlock(features, growth)
        self.rdb3 = DenseBlock(features, growth)

    def forward(self, x: Tensor) -> Tensor:
        """Return what the block makes of `(N, features, h, w)`, of the same shape."""
        y: Tensor = self.rdb3(self.rdb2(self.rdb1(x)))
        return x + RESIDUAL_SCALE * y


class DenseBlock(nn.Module):
    """Five convolutions, each of all earlier features, and a skip around them."""

    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        for number in range(1, 6):
            channels_in = features + (number - 1) * growth
            convolution = conv3x3(channels_in, growth if number < 5 else features)
            if draws_weights(convolution):
                init_kaiming(convolution, INIT_SCALE, slope=0)
            self.add_module(f"conv{number}", convolution)

    def forward(self, x: Tensor) -> Tensor:
        """Return what the block makes of `(N, features, h, w)`, of the same shape."""
        features = [x]
        for number in range(1, 5):
            layer = self.get_submodule(f"conv{number}")
            features.append(_activated(layer(torch.cat(features, 1))))
        y: Tensor = self.get_submodule("conv5")(torch.cat(features, 1))
        return x + RESIDUAL_SCALE * y


def _activated(x: Tensor) -> Tensor:
    return F.leaky_relu(x, LEAKY_SLOPE)
