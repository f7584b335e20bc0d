"""RCAN (Zhang et al. 2018, "Image Super-Resolution Using Very Deep Residual Channel Attention
Networks", figures 2 to 4)."""

import math

from torch import Tensor, nn

from pipeline.networks.generators.base import Generator, doublings_of


class RCAN(Generator):
    """A convolution, `groups` residual groups of `blocks` attention blocks, pixel shufflers.

    15,592,355 parameters at ×4 with the paper's 10 groups of 20 blocks. The weights' names are
    those of the public code. Its shift by DIV2K's mean colour, no parameter, is left out.
    """

    def __init__(
        self,
        scale: int = 4,
        groups: int = 10,
        blocks: int = 20,
        features: int = 64,
        reduction: int = 16,
    ) -> None:
        super().__init__()
        if features < reduction:
            raise ValueError(f"its reduction {reduction} is larger than its {features} features")
        self.scale = scale
        self.config = {
            "scale": scale,
            "groups": groups,
            "blocks": blocks,
            "features": features,
            "reduction": reduction,
        }
        self.head = nn.Sequential(_convolution(3, features))
        self.body = nn.Sequential(
            *(ResidualGroup(blocks, features, reduction) for _ in range(groups)),
            _convolution(features, features),
        )
        shufflers: list[nn.Module] = []
        for _ in range(doublings_of(scale)):
            shufflers += [_convolution(features, 4 * features), nn.PixelShuffle(2)]
        self.tail = nn.Sequential(nn.Sequential(*shufflers), _convolution(features, 3))

    @property
    def receptive_radius(self) -> int:
        """Of the convolutions alone: channel attention depends on the whole picture."""
        groups, blocks = int(self.config["groups"]), int(self.config["blocks"])
        radius = 1.0 + groups * (2 * blocks + 1) + 1
        size = 1
        while size < self.scale:
            radius += 1 / size
            size *= 2
        return math.ceil(radius + 1 / self.scale)

    @property
    def last_layer(self) -> nn.Conv2d:
        """The output convolution."""
        last = self.tail[-1]
        assert isinstance(last, nn.Conv2d)
        return last

    def forward(self, lr: Tensor) -> Tensor:
        """`(N, 3, h, w) float in [0, 1]` to `(N, 3, h·scale, w·scale)`, not clamped."""
        shallow = self.head(lr)
        sr: Tensor = self.tail(shallow + self.body(shallow))
        return sr


class ResidualGroup(nn.Module):
    """Attention blocks, a convolution, and a short skip around them."""

    def __init__(self, blocks: int, features: int, reduction: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(AttentionBlock(features, reduction) for _ in range(blocks)),
            _convolution(features, features),
        )

    def forward(self, x: Tensor) -> Tensor:
        """`(N, features, h, w)` to the same shape."""
        y: Tensor = self.body(x)
        return x + y


class AttentionBlock(nn.Module):
    """Convolution, ReLU, convolution, channel attention, and a skip around them."""

    def __init__(self, features: int, reduction: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _convolution(features, features),
            nn.ReLU(),
            _convolution(features, features),
            ChannelAttention(features, reduction),
        )

    def forward(self, x: Tensor) -> Tensor:
        """`(N, features, h, w)` to the same shape."""
        y: Tensor = self.body(x)
        return x + y


class ChannelAttention(nn.Module):
    """Multiply each channel by a weight from all channels' means (equations 6 to 8)."""

    def __init__(self, features: int, reduction: int) -> None:
        super().__init__()
        self.conv_du = nn.Sequential(
            nn.Conv2d(features, features // reduction, 1),
            nn.ReLU(),
            nn.Conv2d(features // reduction, features, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """`(N, features, h, w)` to the same shape."""
        weights: Tensor = self.conv_du(x.mean((2, 3), keepdim=True))
        return x * weights


def _convolution(channels_in: int, channels_out: int) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, 3, padding=1)
