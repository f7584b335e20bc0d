"""Generators whose code is not known: their properties are measured by running them."""

import math
from bisect import bisect_left
from contextlib import ExitStack
from functools import cached_property

import torch
from torch import Tensor, nn

from pipeline.errors import PipelineError
from pipeline.networks.generators.base import Generator

MAX_RADIUS = 32
"""LR pixels up to which the radius of a receptive field is measured."""
UNBOUNDED = 1 << 20
"""A radius that stands for all larger ones, LR pixels."""
PROBED_RADIUS = 40
# Of white, or of the largest result where that is more: rounding depends on neighbours a little.
NO_DIFFERENCE = 1e-5
MULTIPLES = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 48, 64)
# What depends on the whole picture, as channel attention does, differs a little after any move.
ROUNDING = 2e-6
MUCH_MORE = 1000
PROBE_SIDE = 16


class MeasuredGenerator(Generator):
    """A generator whose receptive field and windows are measured when they are first asked for."""

    size_multiple = 1
    """number of LR pixels to whose multiples the network pads"""

    @cached_property
    def tile_multiple(self) -> int:  # type: ignore[override]
        """The measured number of LR pixels of which tiles' positions should be multiples."""
        return math.lcm(measured_multiple(self), self.size_multiple)

    @cached_property
    def receptive_radius(self) -> int:
        """The measured distance beyond which LR pixels do not matter, or more than 32."""
        radius = measured_radius(self, self.tile_multiple)
        # At a picture's end, where the last window is not full, one window more matters.
        return radius if self.tile_multiple == 1 else radius + self.tile_multiple


@torch.inference_mode()
def measured_radius(generator: Generator, multiple: int) -> int:
    """Return how far beyond a tile its LR pixels matter; `UNBOUNDED` where it is more than 32.

    A multiple of `multiple`, as `measured_multiple` returns it: the least distance from a block of
    pixels at which a picture can be cut without a change of the block. Replacing the pixels beyond
    would not do: a network may depend on where its input ends, by the zeros of its convolutions.
    """
    margin = math.ceil(PROBED_RADIUS / multiple) * multiple
    side = 2 * margin + multiple
    lr = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    expected = _block(generator, lr, margin, multiple)
    tolerance = NO_DIFFERENCE * max(float(expected.abs().max()), 1.0)

    def suffices(distance: int) -> bool:
        kept = slice(margin - distance, margin + multiple + distance)
        result = _block(generator, lr[..., kept, kept], distance, multiple)
        return float((result - expected).abs().max()) <= tolerance

    distances = range(multiple, MAX_RADIUS + 1, multiple)
    if not distances or not suffices(distances[-1]):
        return UNBOUNDED
    return distances[bisect_left(distances, True, key=suffices)]


@torch.inference_mode()
def measured_multiple(generator: Generator) -> int:
    """Return the number of LR pixels by whose multiples a picture may be moved.

    A network that divides a picture into windows gives other results for other positions. 1 where
    no number of `MULTIPLES` leaves them as they are.
    """
    side, most = 2 * PROBED_RADIUS + 1, max(MULTIPLES)
    full = side + most
    lr = torch.rand(1, 3, full, full, generator=torch.Generator().manual_seed(0))
    expected = _block(generator, lr[..., most:, most:], PROBED_RADIUS)
    tolerance = ROUNDING * max(float(expected.abs().max()), 1.0)
    for multiple in MULTIPLES:
        moved = lr[..., most - multiple :, most - multiple :]
        result = _block(generator, moved, PROBED_RADIUS + multiple)
        difference = float((result - expected).abs().max())
        if multiple == 1:
            # Deep networks round more: beside a move by one pixel that is little.
            tolerance = max(tolerance, difference / MUCH_MORE)
        if difference <= tolerance:
            return multiple
    return 1


def _block(generator: Generator, lr: Tensor, start: int, side: int = 1) -> Tensor:
    """Return the SR pixels of `side` × `side` LR pixels on the diagonal of `(1, 3, h, h)`."""
    rows = slice(start * generator.scale, (start + side) * generator.scale)
    block: Tensor = generator(lr.to(generator.device))[0, :, rows, rows].cpu()
    return block


def last_weighted_layer(generator: Generator) -> nn.Module:
    """Return the layer with trainable weights that a forward pass runs last.

    Raises `PipelineError` where no layer has any.
    """
    layers = []

    def record(layer: nn.Module, *_: object) -> None:
        if isinstance(weight := getattr(layer, "weight", None), Tensor) and weight.requires_grad:
            layers.append(layer)

    with ExitStack() as stack, torch.no_grad():
        for module in generator.modules():
            if not list(module.children()):
                stack.callback(module.register_forward_hook(record).remove)
        stack.callback(generator.train, generator.training)
        generator.eval()
        generator(torch.zeros(1, 3, PROBE_SIDE, PROBE_SIDE, device=generator.device))
    if not layers:
        raise PipelineError("this network has no layer with weights that can be trained")
    return layers[-1]
