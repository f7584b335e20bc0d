"""SRResNet, the generator of SRGAN (Ledig et al. 2017, "Photo-Realistic Single Image
Super-Resolution Using a Generative Adversarial Network", figure 4)."""

from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.networks.generators.activation import PRELU_SLOPE, SharedPReLU
from pipeline.networks.generators.base import (
    Generator,
    conv3x3,
    draws_weights,
    init_icnr,
    radius_of,
    upsampling_factors,
    upsampling_sizes,
)
from pipeline.networks.generators.bicubic_conv import BICUBIC_RADIUS, BicubicConv

# Scales of initial weights with the bicubic skip. Details are faint, so the head's is large. With
# three times the shufflers' scale Adam's first steps overshoot, with a third they are slow.
HIGH_PASS_INIT = 0.5
RESIDUAL_INIT = 0.1
SHUFFLER_INIT = 0.3


class SRResNet(Generator):
    """A 9 × 9 convolution, `blocks` residual blocks with a long skip, ×2 pixel shufflers (at ×3 one
    of ×3, at ×1 none), and a 9 × 9 convolution.

    The paper has 16 blocks (1,549,462 parameters at ×4); 3 have 585,993, and 585,097 without
    batch normalisation. Every PReLU shares one slope over its channels.

    With `skip="bicubic"` the network learns the residual to bicubic interpolation: its output is
    added to the interpolated input and is zero at first; its first filters are high-pass.

    With `upsampling="direct"` one 3 × 3 convolution and one pixel shuffle make the result, as in
    ESPCN (Shi et al. 2016, "Real-Time Single Image and Video Super-Resolution Using an Efficient
    Sub-Pixel Convolutional Neural Network"), instead of shufflers and a convolution at full size.
    Those take four fifths of the time with 3 blocks: 16 blocks with direct upsampling are as fast,
    with 1,261,953 parameters without normalisation.
    """

    architecture = "srresnet"
    accepts_fewer_blocks = True

    def __init__(
        self,
        scale: int = 4,
        blocks: int = 3,
        features: int = 64,
        norm: Literal["batch", "none"] = "batch",
        skip: Literal["none", "bicubic"] = "none",
        upsampling: Literal["stages", "direct"] = "stages",
    ) -> None:
        super().__init__()
        self.scale = scale
        self.config = {
            "scale": scale,
            "blocks": blocks,
            "features": features,
            "norm": norm,
            "skip": skip,
            "upsampling": upsampling,
        }
        # Once the network is folded, what interpolates on a CPU.
        self.bicubic_conv: BicubicConv | None = None
        self.head = nn.Sequential(nn.Conv2d(3, features, 9, padding=4), SharedPReLU())
        self.body = nn.Sequential(
            *(ResidualBlock(features, norm) for _ in range(blocks)),
            conv3x3(features, features),
            _norm(features, norm),
        )
        if upsampling == "direct":
            self.upsample = nn.Sequential()
            self.tail = conv3x3(features, 3 * scale**2)
        else:
            self.upsample = nn.Sequential(
                *(_shuffler(features, factor) for factor in upsampling_factors(scale))
            )
            self.tail = nn.Conv2d(features, 3, 9, padding=4)
        if skip == "bicubic" and draws_weights(self.tail):
            self._init_for_bicubic_skip()

    @property
    def receptive_radius(self) -> int:
        """14 at ×4 with 3 blocks: convolutions after a shuffle reach less far in LR pixels."""
        in_body = 2 * int(self.config["blocks"]) + 1
        if self.config["upsampling"] == "direct":
            radius = radius_of((4 + in_body, 1), (1, 1))
        else:
            shufflers = [(1, size) for size in upsampling_sizes(self.scale)[:-1]]
            radius = radius_of((4 + in_body, 1), *shufflers, (4, self.scale))
        return max(radius, BICUBIC_RADIUS) if self.config["skip"] == "bicubic" else radius

    @property
    def last_layer(self) -> nn.Conv2d:
        """The last 9 × 9 convolution, or the direct one."""
        return self.tail

    def forward(self, lr: Tensor) -> Tensor:
        """Enlarge `(N, 3, h, w) float in [0, 1]` to `(N, 3, h·scale, w·scale)`, not clamped."""
        shallow = self.head(lr)
        deep = shallow + self.body(shallow)
        if self.config["skip"] == "none":
            return self._upsampled(deep)
        if self.bicubic_conv is None or lr.device.type != "cpu":
            return self._upsampled(deep) + self._interpolated(lr)
        with torch.autocast("cpu", enabled=False):
            skip = self.bicubic_conv(lr)
        if self.config["upsampling"] == "direct":
            return F.pixel_shuffle(self.tail(deep) + skip, self.scale)
        return self._upsampled(deep) + F.pixel_shuffle(skip, self.scale)

    def _interpolated(self, lr: Tensor) -> Tensor:
        if self.scale == 1:
            return lr
        return F.interpolate(lr, scale_factor=float(self.scale), mode="bicubic")

    @torch.no_grad()
    def start_from(self, pretrained: Generator) -> None:
        """Copy the weights of a network with as many blocks or fewer, and else the same config.

        The copied blocks are spread evenly. Those between them add nothing at first, so that both
        networks give the same results.
        """
        assert isinstance(pretrained, SRResNet)
        source_blocks, blocks = int(pretrained.config["blocks"]), int(self.config["blocks"])
        for block in self.body[:blocks]:
            last = _convolutions(block)[-1]
            _zero(last.weight)
            _zero(last.bias)
        spread = [self.body[index * blocks // source_blocks] for index in range(source_blocks)]
        targets = [self.head, *spread, *self.body[blocks:], self.upsample, self.tail]
        sources = [pretrained.head, *pretrained.body, pretrained.upsample, pretrained.tail]
        for target, source in zip(targets, sources, strict=True):
            target.load_state_dict(source.state_dict())

    def _upsampled(self, deep: Tensor) -> Tensor:
        if self.config["upsampling"] == "direct":
            return F.pixel_shuffle(self.tail(deep), self.scale)
        if self.scale % 2:
            # Of a ×3 shuffle, the tail before it would be 2.8 times the operations.
            return cast(Tensor, self.tail(self.upsample(deep)))
        *shufflers, last = self.upsample
        for shuffler in shufflers:
            deep = shuffler(deep)
        return _shuffle_last(last, self.tail, deep)

    @torch.no_grad()
    def _init_for_bicubic_skip(self) -> None:
        """Initialise the head with high-pass filters, and later branches with small weights.

        Bicubic interpolation lacks details alone. With Kaiming's filters flat colours dominate the
        gradients: on drawings, 200 steps gained 0.03 dB with them, and 1.0 dB with 3 × 3 filters
        that sum to zero and weaker branches.
        """
        for convolution in _convolutions(self):
            nn.init.kaiming_normal_(convolution.weight, a=PRELU_SLOPE)
            _zero(convolution.bias)
        for convolution in _convolutions(self.head):
            _init_high_pass(convolution)
        for branch in self.body:
            for last in _convolutions(branch)[-1:]:
                last.weight.mul_(RESIDUAL_INIT)
        factors = upsampling_factors(self.scale) if len(self.upsample) else ()
        for shuffler, factor in zip(_convolutions(self.upsample), factors, strict=True):
            shuffler.weight.mul_(SHUFFLER_INIT)
            init_icnr(shuffler, factor)
        _zero(self.tail.weight)


class ResidualBlock(nn.Module):
    """Convolution, norm, PReLU, convolution, norm, and a skip around them."""

    def __init__(self, features: int, norm: Literal["batch", "none"]) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            conv3x3(features, features),
            _norm(features, norm),
            SharedPReLU(),
            conv3x3(features, features),
            _norm(features, norm),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return what the block makes of `(N, features, h, w)`, of the same shape."""
        y: Tensor = self.layers(x)
        return x + y


def _norm(features: int, norm: Literal["batch", "none"]) -> nn.Module:
    return nn.BatchNorm2d(features) if norm == "batch" else nn.Identity()


def _shuffler(features: int, factor: int) -> nn.Sequential:
    """Return an upsampler: convolution to `factor²` times the channels, shuffle, activation."""
    convolution = conv3x3(features, factor**2 * features)
    init_icnr(convolution, factor)
    return nn.Sequential(convolution, nn.PixelShuffle(factor), SharedPReLU())


def _shuffle_last(shuffler: nn.Module, tail: nn.Conv2d, x: Tensor) -> Tensor:
    """Compute `tail(shuffler(x))` with the ×2 shuffle after the tail: exact, a quarter faster.

    A 9 × 9 convolution of shuffled pixels is a 5 × 5 convolution of unshuffled ones, whose 12
    channels are the 3 colours of 4 pixels. A convolution to 3 channels uses a processor badly: the
    tail took half of the network's time for a fifth of its operations.
    """
    convolution, shuffle, activation = shuffler.children()
    weight = unshuffled(tail.weight)
    bias = None if tail.bias is None else tail.bias.repeat_interleave(4)
    sr: Tensor = shuffle(F.conv2d(activation(convolution(x)), weight, bias, padding=2))
    return sr


def unshuffled(kernel: Tensor) -> Tensor:
    """Return a kernel `(O, C, 9, 9)` for shuffled pixels as `(4·O, 4·C, 5, 5)` for unshuffled."""
    outputs, inputs = kernel.shape[:2]
    # For each of the four pixels of an output block, shift the kernel by the pixel's row and column
    # within the 10 × 10 input pixels that the 5 × 5 blocks cover.
    shifted = [
        F.pad(kernel, (column, 1 - column, row, 1 - row)) for row in range(2) for column in range(2)
    ]
    blocks = torch.stack(shifted, 1).reshape(4 * outputs, inputs, 5, 2, 5, 2)
    return blocks.permute(0, 1, 3, 5, 2, 4).reshape(4 * outputs, 4 * inputs, 5, 5)


def _convolutions(network: nn.Module) -> list[nn.Conv2d]:
    return [module for module in network.modules() if isinstance(module, nn.Conv2d)]


def _zero(parameter: Tensor | None) -> None:
    assert parameter is not None
    nn.init.zeros_(parameter)


@torch.no_grad()
def _init_high_pass(convolution: nn.Conv2d) -> None:
    """Initialise with random 3 × 3 filters that sum to zero, in the middle of larger kernels."""
    weight = torch.randn(*convolution.weight.shape[:2], 3, 3) * HIGH_PASS_INIT
    margin = (convolution.kernel_size[0] - 3) // 2
    zero_sum = weight - weight.mean(dim=(2, 3), keepdim=True)
    convolution.weight.copy_(F.pad(zero_sum, [margin] * 4))
