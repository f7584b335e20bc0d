"""What every generator is: a network that knows its scale, its config and how far it looks."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from pipeline.errors import PipelineError

LEVELS = 255


class NotFiniteError(PipelineError):
    """A generator's numbers have overflowed."""


class Generator(nn.Module, ABC):
    """Enlarges `(N, 3, h, w)` in [0, 1] to `(N, 3, h·scale, w·scale)`, not clamped."""

    scale: int
    config: Mapping[str, int | str]
    """the constructor's arguments, so that a file can say how to build the network again"""

    @property
    @abstractmethod
    def receptive_radius(self) -> int:
        """LR pixels around a pixel that its result depends on: the overlap of exact tiles."""

    @property
    @abstractmethod
    def last_layer(self) -> nn.Conv2d:
        """The convolution that gives the colours: where the terms of a loss meet."""

    may_deepen = False
    """whether `start_from` takes a network of fewer blocks, too"""

    @abstractmethod
    def forward(self, lr: Tensor) -> Tensor: ...

    def start_from(self, given: "Generator") -> None:
        """Take the weights of a network with the same config."""
        self.load_state_dict(given.state_dict())

    @torch.no_grad()
    def enlarge(self, lr: Tensor) -> Tensor:
        """Enlarge pictures: `(N, 3, h, w) uint8` → `(N, 3, h·scale, w·scale) uint8`, rounded.

        Computes on the weights' device; the result is on the CPU. Raises `NotFiniteError` when it
        is not finite: a black picture must never pass for one.
        """
        device = next(self.parameters()).device
        batch = lr.to(device, torch.float32) / LEVELS
        sr = self(batch.contiguous(memory_format=torch.channels_last))
        if not torch.isfinite(sr).all():
            raise NotFiniteError("the generator's result is not finite")
        return quantise(sr).to("cpu", torch.uint8)


def quantise(images: Tensor) -> Tensor:
    """Bring images of any shape from [0, 1] to the levels of 8 bits: whole floats in [0, 255].

    Rounds to the nearest level, where a cast to uint8 would cut off.
    """
    return (images.float() * LEVELS).round().clamp(0, LEVELS)


def doublings_of(scale: int) -> int:
    """How often a side is doubled to be `scale` times as long. Raises `ValueError` for others."""
    doublings = scale.bit_length() - 1
    if scale < 1 or 2**doublings != scale:
        raise ValueError(f"its scale is {scale}, which is no power of 2")
    return doublings
