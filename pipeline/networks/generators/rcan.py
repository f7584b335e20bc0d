"""RCAN (Zhang et al. 2018, "Image Super-Resolution Using Very Deep Residual Channel Attention
Networks", figures 2 to 4)."""

from torch import Tensor, nn

from pipeline.networks.generators.base import (
    Generator,
    conv3x3,
    radius_of,
    upsampling_factors,
    upsampling_sizes,
)


class RCAN(Generator):
    """A convolution, `groups` residual groups of `blocks` attention blocks, pixel shufflers.

    15,592,355 parameters at ×4 with the paper's 10 groups of 20 blocks. The weights' names are
    those of the public code. Its shift by DIV2K's mean colour, no parameter, is left out.
    """

    architecture = "rcan"
    uses_whole = True

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
        self.head = nn.Sequential(conv3x3(3, features))
        self.body = nn.Sequential(
            *(ResidualGroup(blocks, features, reduction) for _ in range(groups)),
            conv3x3(features, features),
        )
        shufflers: list[nn.Module] = []
        for factor in upsampling_factors(scale):
            shufflers += [conv3x3(features, factor**2 * features), nn.PixelShuffle(factor)]
        self.tail = nn.Sequential(nn.Sequential(*shufflers), conv3x3(features, 3))

    @property
    def receptive_radius(self) -> int:
        """Of the convolutions alone: channel attention depends on the whole picture."""
        groups, blocks = int(self.config["groups"]), int(self.config["blocks"])
        in_body = groups * (2 * blocks + 1) + 1
        shufflers = [(1, size) for size in upsampling_sizes(self.scale)[:-1]]
        return radius_of((1 + in_body, 1), *shufflers, (1, self.scale))

    @property
    def last_layer(self) -> nn.Conv2d:
        """The output convolution."""
        last = self.tail[-1]
        assert isinstance(last, nn.Conv2d)
        return last

    def forward(self, lr: Tensor) -> Tensor:
        """Enlarge `(N, 3, h, w) float in [0, 1]` to `(N, 3, h·scale, w·scale)`, not clamped."""
        shallow = self.head(lr)
        sr: Tensor = self.tail(shallow + self.body(shallow))
        return sr


class ResidualGroup(nn.Module):
    """Attention blocks, a convolution, and a short skip around them."""

    def __init__(self, blocks: int, features: int, reduction: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(AttentionBlock(features, reduction) for _ in range(blocks)),
            conv3x3(features, features),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return what the block makes of `(N, features, h, w)`, of the same shape."""
        y: Tensor = self.body(x)
        return x + y


class AttentionBlock(nn.Module):
    """Convolution, ReLU, convolution, channel attention, and a skip around them."""

    def __init__(self, features: int, reduction: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv3x3(features, features),
            nn.ReLU(),
            conv3x3(features, features),
            ChannelAttention(features, reduction),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return what the block makes of `(N, features, h, w)`, of the same shape."""
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
        """Weight the channels of `(N, features, h, w)`."""
        weights: Tensor = self.conv_du(x.mean((2, 3), keepdim=True))
        return x * weights
