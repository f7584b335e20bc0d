"""SRResNet, the generator of SRGAN (Ledig et al. 2017, "Photo-Realistic Single Image
Super-Resolution Using a Generative Adversarial Network", figure 4)."""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.networks.generator import Generator

# Pixels at each side that bicubic interpolation reads, beyond the one it stands at.
BICUBIC_RADIUS = 2


class SRResNet(Generator):
    """k9n64, `blocks` residual blocks with a long skip, ×2 pixel shufflers, k9n3.

    The paper has 16 blocks (1,549,462 parameters at ×4); 3 have 585,993, and 585,097 without
    batch normalisation. Every PReLU shares one slope over its channels.

    With `skip="bicubic"` the network learns only what bicubic interpolation lacks: its output is
    added to the enlarged input, and is zero at first.
    """

    def __init__(
        self,
        scale: int = 4,
        blocks: int = 3,
        features: int = 64,
        norm: Literal["batch", "none"] = "batch",
        skip: Literal["none", "bicubic"] = "none",
    ) -> None:
        super().__init__()
        self.scale = scale
        self.config = {
            "scale": scale,
            "blocks": blocks,
            "features": features,
            "norm": norm,
            "skip": skip,
        }
        self.head = nn.Sequential(nn.Conv2d(3, features, 9, padding=4), nn.PReLU())
        self.body = nn.Sequential(
            *(ResidualBlock(features, norm) for _ in range(blocks)),
            nn.Conv2d(features, features, 3, padding=1),
            _norm(features, norm),
        )
        self.upsample = nn.Sequential(
            *(_shuffler(features) for _ in range(round(math.log2(scale))))
        )
        self.tail = nn.Conv2d(features, 3, 9, padding=4)
        if skip == "bicubic":
            nn.init.zeros_(self.tail.weight)
            assert self.tail.bias is not None
            nn.init.zeros_(self.tail.bias)

    @property
    def receptive_radius(self) -> int:
        """14 at ×4 and 3 blocks; the tail's 4 HR pixels and each shuffler's 1 shrink with scale."""
        radius = 4.0 + 2 * int(self.config["blocks"]) + 1
        size = 1
        while size < self.scale:
            radius += 1 / size
            size *= 2
        radius += 4 / self.scale
        if self.config["skip"] == "bicubic":
            radius = max(radius, BICUBIC_RADIUS)
        return math.ceil(radius)

    def forward(self, lr: Tensor) -> Tensor:
        """`(N, 3, h, w) float in [0, 1]` to `(N, 3, h·scale, w·scale)`, not clamped."""
        shallow = self.head(lr)
        sr: Tensor = self.tail(self.upsample(shallow + self.body(shallow)))
        if self.config["skip"] == "bicubic":
            sr = sr + F.interpolate(lr, scale_factor=float(self.scale), mode="bicubic")
        return sr


class ResidualBlock(nn.Module):
    """Convolution, norm, PReLU, convolution, norm, and a skip around them."""

    def __init__(self, features: int, norm: Literal["batch", "none"]) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(features, features, 3, padding=1),
            _norm(features, norm),
            nn.PReLU(),
            nn.Conv2d(features, features, 3, padding=1),
            _norm(features, norm),
        )

    def forward(self, x: Tensor) -> Tensor:
        """`(N, features, h, w)` to the same shape."""
        y: Tensor = self.layers(x)
        return x + y


def _norm(features: int, norm: Literal["batch", "none"]) -> nn.Module:
    return nn.BatchNorm2d(features) if norm == "batch" else nn.Identity()


def _shuffler(features: int) -> nn.Sequential:
    """Twice the size: convolution to four times the channels, pixel shuffle (Shi et al. 2016)."""
    convolution = nn.Conv2d(features, 4 * features, 3, padding=1)
    _init_icnr(convolution)
    return nn.Sequential(convolution, nn.PixelShuffle(2), nn.PReLU())


@torch.no_grad()
def _init_icnr(convolution: nn.Conv2d) -> None:
    """Let the four pixels of a shuffle start equal, so that no checkerboard has to be unlearnt.

    Aitken et al. 2017, "Checkerboard artifact free sub-pixel convolution".
    """
    assert convolution.bias is not None
    for parameter in (convolution.weight, convolution.bias):
        parameter.copy_(parameter[::4].repeat_interleave(4, dim=0))
