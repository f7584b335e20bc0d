"""Base class of generators, and rounding to 8 bits."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from pipeline.errors import PipelineError

LEVELS = 255


class NotFiniteError(PipelineError):
    """A generator's result contains NaN or infinity."""


class Generator(nn.Module, ABC):
    """A network from `(N, 3, h, w) float in [0, 1]` to `(N, 3, h·scale, w·scale)`, not clamped."""

    scale: int
    config: Mapping[str, int | str]
    """the constructor's arguments, as a model file stores them"""

    @property
    @abstractmethod
    def receptive_radius(self) -> int:
        """Radius of the receptive field of the convolutions, LR pixels.

        Tiles that overlap by it are exact, unless a layer depends on the whole picture, as RCAN's
        channel attention does.
        """

    @property
    @abstractmethod
    def last_layer(self) -> nn.Conv2d:
        """The output convolution, at which the gradients of the losses are compared."""

    accepts_fewer_blocks = False
    """whether `start_from` takes a network with fewer blocks, too"""

    @abstractmethod
    def forward(self, lr: Tensor) -> Tensor: ...

    def start_from(self, pretrained: "Generator") -> None:
        """Copy the weights of a network with the same config."""
        self.load_state_dict(pretrained.state_dict())

    @torch.no_grad()
    def enlarge(self, lr: Tensor) -> Tensor:
        """Enlarge pictures: `(N, 3, h, w) uint8` → `(N, 3, h·scale, w·scale) uint8`, rounded.

        Computes on the weights' device; the result is on the CPU. The caller puts the network into
        eval mode. Raises `NotFiniteError` where the result contains NaN or infinity, which a cast
        to uint8 would turn into black or white.
        """
        device = next(self.parameters()).device
        batch = lr.to(device, torch.float32) / LEVELS
        sr = self(batch.contiguous(memory_format=torch.channels_last))
        if not torch.isfinite(sr).all():
            raise NotFiniteError("the generator's result is not finite")
        return quantise(sr).to("cpu", torch.uint8)


def quantise(images: Tensor) -> Tensor:
    """Round images of any shape in [0, 1] to the levels of 8 bits: whole floats in [0, 255].

    A cast to uint8 would truncate instead.
    """
    return (images.float() * LEVELS).round().clamp(0, LEVELS)


def doublings_of(scale: int) -> int:
    """Return log2 of `scale`. Raises `ValueError` where it is no power of 2."""
    doublings = scale.bit_length() - 1
    if scale < 1 or 2**doublings != scale:
        raise ValueError(f"its scale is {scale}, which is no power of 2")
    return doublings
