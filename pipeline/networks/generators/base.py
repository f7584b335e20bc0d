"""Base class of generators, what several of them are built of, and rounding to 8 bits."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from itertools import accumulate
from operator import mul

import torch
from torch import Tensor, nn

from pipeline.errors import PipelineError

MAX_LEVEL = 255
"""of 8 bits, for white"""


class NotFiniteError(PipelineError):
    """A generator's result contains NaN or infinity."""


class Generator(nn.Module, ABC):
    """A network from `(N, 3, h, w) float in [0, 1]` to `(N, 3, h·scale, w·scale)`, not clamped."""

    architecture: str
    """its name in model files"""
    scale: int
    config: Mapping[str, int | str]
    """the constructor's arguments, as a model file stores them"""
    values_per_pixel: float | None = None
    """values of the largest operation per LR pixel; None until `bytes_per_pixel` measures them"""
    prefers_whole = False
    """whether results depend on the whole picture, so that tiles should be as large as they can"""
    uses_whole = False
    """whether all of a picture shapes each pixel of the result, as by channel attention"""
    tile_multiple = 1
    """number of LR pixels of which tiles' positions are multiples; other positions give others"""
    allows_bf16 = True
    """whether results in bfloat16 are useful"""
    memory_format = torch.channels_last
    """order of the weights' values that is fastest"""

    @property
    def parameter_count(self) -> int:
        """How many trainable numbers it has."""
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    @abstractmethod
    def receptive_radius(self) -> int:
        """Radius of the receptive field of the convolutions, LR pixels.

        Tiles that overlap by it are exact, unless a layer depends on the whole picture, as RCAN's
        channel attention does.
        """

    @property
    @abstractmethod
    def last_layer(self) -> nn.Module:
        """The layer before the output, at whose `weight` gradients of losses are compared."""

    @property
    def weights(self) -> Mapping[str, Tensor]:
        """The weights by their names in a model file."""
        return self.state_dict()

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return next(self.parameters()).device

    def computed_size(self, width: int, height: int) -> tuple[int, int]:
        """Return the size to which the network pads a picture of `width` and `height` pixels."""
        return width, height

    accepts_fewer_blocks = False
    """whether `start_from` takes a network with fewer blocks, too: where it does, override that"""

    @abstractmethod
    def forward(self, lr: Tensor) -> Tensor:
        """Enlarge `(N, 3, h, w) float in [0, 1]` to `(N, 3, h·scale, w·scale)`, not clamped."""

    def start_from(self, pretrained: "Generator") -> None:
        """Copy the weights of a network of the same class and config.

        With `accepts_fewer_blocks`, the config's blocks may be fewer.
        """
        self.load_state_dict(pretrained.weights)

    @torch.no_grad()
    def enlarge(self, lr: Tensor) -> Tensor:
        """Enlarge pictures: `(N, 3, h, w) uint8` → `(N, 3, h·scale, w·scale) uint8`, rounded.

        Computes on the weights' device; the result is on the CPU. The caller puts the network into
        eval mode. Raises `NotFiniteError` where the result contains NaN or infinity, which a cast
        to uint8 would turn into black or white.
        """
        batch = lr.to(self.device, torch.float32) / MAX_LEVEL
        sr = self(batch.contiguous(memory_format=torch.channels_last))
        if not torch.isfinite(sr).all():
            raise NotFiniteError("the generator's result is not finite")
        return quantise(sr).to("cpu", torch.uint8)


def quantise(images: Tensor) -> Tensor:
    """Round images of any shape in [0, 1] to the levels of 8 bits: whole floats in [0, 255].

    A cast to uint8 would truncate instead.
    """
    return (images.float() * MAX_LEVEL).round().clamp(0, MAX_LEVEL)


def conv3x3(channels_in: int, channels_out: int) -> nn.Conv2d:
    """Return a 3 × 3 convolution that keeps the size."""
    return nn.Conv2d(channels_in, channels_out, 3, padding=1)


def draws_weights(convolution: nn.Conv2d) -> bool:
    """Return whether initial weights are to be drawn for a convolution.

    Not on the meta device: there is nothing to draw, and PyTorch would import its compiler for it,
    seconds at each start.
    """
    return not convolution.weight.is_meta


@torch.no_grad()
def init_kaiming(convolution: nn.Conv2d, factor: float = 1.0, slope: float = 1.0) -> None:
    """Draw weights that keep the variance behind a leaky ReLU of that slope, times `factor`.

    He et al. 2015, "Delving Deep into Rectifiers", equation 15. A slope of 1 is no activation, 0 is
    ReLU. Biases are 0.
    """
    assert convolution.bias is not None
    nn.init.kaiming_normal_(convolution.weight, a=slope).mul_(factor)
    nn.init.zeros_(convolution.bias)


@torch.no_grad()
def init_icnr(convolution: nn.Conv2d, factor: int = 2) -> None:
    """Make the pixels of a shuffle by `factor` equal at first, against checkerboards (ICNR).

    Aitken et al. 2017, "Checkerboard artifact free sub-pixel convolution".
    """
    assert convolution.bias is not None
    for parameter in (convolution.weight, convolution.bias):
        parameter.copy_(parameter[:: factor**2].repeat_interleave(factor**2, dim=0))


def radius_of(*convolutions: tuple[int, int]) -> int:
    """Return the radius, LR pixels, of convolutions in a row: pairs of kernel radius and size.

    The size is that of the convolution's input in multiples of LR: a pixel of an input twice as
    large is half an LR pixel.
    """
    return math.ceil(sum(radius / size for radius, size in convolutions))


def upsampling_factors(scale: int) -> tuple[int, ...]:
    """Return the factors of upsampling in stages: as often 2 as it takes, or once 3, as in EDSR.

    Raises `ValueError` where the scale is neither 3 nor a power of 2.
    """
    if scale == 3:
        return (3,)
    doublings = scale.bit_length() - 1
    if scale < 1 or 2**doublings != scale:
        raise ValueError(f"its scale is {scale}, which is neither 3 nor a power of 2")
    return (2,) * doublings


def upsampling_sizes(scale: int) -> list[int]:
    """Return the sizes of upsampling in stages, in multiples of LR, from 1 to `scale`."""
    return list(accumulate(upsampling_factors(scale), mul, initial=1))
