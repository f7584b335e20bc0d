"""Generators of every architecture that the library spandrel opens."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Protocol, cast

import cloudpickle
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.networks.generators.measured import MeasuredGenerator, last_weighted_layer

SUPPORTED_CHANNELS = (1, 3, 4)


class Descriptor(Protocol):
    """What is used of spandrel's `ImageModelDescriptor`."""

    model: nn.Module
    scale: int
    input_channels: int
    output_channels: int
    size_requirements: Any
    tiling: Any
    architecture: Any
    supports_bfloat16: bool


class SpandrelGenerator(MeasuredGenerator):
    """A network that spandrel opened: of any scale, 1 too.

    Grey networks are applied to each colour; those of four channels get opaque alpha. Pictures are
    padded at the right and the bottom to the size that the network requires, as spandrel does it.
    Dropout is switched off, in training too: steps must be repeatable.
    """

    def __init__(self, descriptor: Descriptor) -> None:
        super().__init__()
        self.scale = descriptor.scale
        self.architecture = str(descriptor.architecture.id)
        self.config = {"scale": self.scale}
        self.allows_bf16 = descriptor.supports_bfloat16
        self.prefers_whole = descriptor.tiling.name != "SUPPORTED"
        self._input_channels = descriptor.input_channels
        self._requirements = descriptor.size_requirements
        self.size_multiple = self._requirements.multiple_of
        # The public call clamps its result and computes no gradients.
        self._call_network = cast(Any, descriptor)._call_fn
        # spandrel removes this name from keys, as that of `DataParallel`: checkpoints open, too.
        self.module = descriptor.model.float().eval()
        _switch_off_dropout(self.module)
        self._check_channels(descriptor.output_channels)
        self._choose_memory_format()

    @cached_property
    def last_layer(self) -> nn.Module:
        """The last layer with weights that a forward pass runs."""
        return last_weighted_layer(self)

    @property
    def weights(self) -> Mapping[str, Tensor]:
        """The weights by the names that other programs give them."""
        return self.module.state_dict()

    def computed_size(self, width: int, height: int) -> tuple[int, int]:
        """Return the size to which pictures of `width` and `height`, LR pixels, are padded."""
        right, bottom = self._requirements.get_padding(width, height)
        return width + right, height + bottom

    def forward(self, lr: Tensor) -> Tensor:
        """Enlarge `(N, 3, h, w) float in [0, 1]` to `(N, 3, h·scale, w·scale)`, not clamped."""
        number, _, height, width = lr.shape
        padded = _pad(self._own_channels(lr), *self.computed_size(width, height))
        sr: Tensor = self._call_network(self.module, padded)
        sr = sr[..., : height * self.scale, : width * self.scale]
        if self._input_channels == 1:
            return sr.reshape(number, 3, *sr.shape[2:])
        return sr.expand(-1, 3, -1, -1) if sr.shape[1] == 1 else sr[:, :3]

    def __getstate__(self) -> dict[str, Any]:
        # Most architectures are called by a lambda, which pickle itself does not write.
        return self.__dict__ | {"_call_network": cloudpickle.dumps(self._call_network)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        call = cloudpickle.loads(state["_call_network"])
        super().__setstate__(state | {"_call_network": call})  # type: ignore[no-untyped-call]

    def _own_channels(self, lr: Tensor) -> Tensor:
        """Return a copy with the network's channels and order: some networks change their input."""
        if self._input_channels == 1:
            lr = lr.reshape(-1, 1, *lr.shape[2:])
        elif self._input_channels == 4:
            lr = torch.cat([lr, torch.ones_like(lr[:, :1])], 1)
        return lr.clone(memory_format=self.memory_format)

    def _check_channels(self, output_channels: int) -> None:
        """Raise `ValueError` for a network that does not make pictures of pictures."""
        for name, channels in (("takes", self._input_channels), ("makes", output_channels)):
            if channels not in SUPPORTED_CHANNELS:
                raise ValueError(f"{self.architecture} {name} {channels} channels, not RGB")

    @torch.no_grad()
    def _choose_memory_format(self) -> None:
        """Keep channels last, unless the network's own code takes for granted the other order."""
        lr = torch.zeros(1, 3, 16, 16, device=self.device)
        try:
            self.module.to(memory_format=self.memory_format)
            self(lr)
        except RuntimeError:
            self.module.to(memory_format=torch.contiguous_format)
            self.memory_format = torch.contiguous_format
            self(lr)


def _switch_off_dropout(network: nn.Module) -> None:
    for module in network.modules():
        layer = cast(Any, module)
        if isinstance(module, nn.modules.dropout._DropoutNd):
            layer.p = 0.0
        elif isinstance(getattr(module, "drop_prob", None), float):
            # Stochastic depth, of which each architecture has a class of its own.
            layer.drop_prob = 0.0


def _pad(images: Tensor, width: int, height: int) -> Tensor:
    """Pad `(N, C, h, w)` at the right and the bottom: mirrored, and beyond that repeated."""
    right, bottom = width - images.shape[3], height - images.shape[2]
    mirrored = min(right, images.shape[3] - 1), min(bottom, images.shape[2] - 1)
    if right or bottom:
        images = F.pad(images, (0, mirrored[0], 0, mirrored[1]), "reflect")
        images = F.pad(images, (0, right - mirrored[0], 0, bottom - mirrored[1]), "replicate")
    return images
