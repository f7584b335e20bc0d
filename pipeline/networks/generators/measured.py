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
        """The measured radius of the receptive field, LR pixels, or more than 32."""
        # Measured for one position within a multiple.
        return measured_radius(self) + self.tile_multiple - 1


@torch.inference_mode()
def measured_radius(generator: Generator) -> int:
    """Return the radius of the receptive field, LR pixels; `UNBOUNDED` where it is larger than 32.

    The pixels around a centre are replaced by others, from a distance on: the radius is the largest
    distance from which on this changes one of the centre's SR pixels.
    """
    side = 2 * PROBED_RADIUS + 1
    lr, others = torch.rand(2, 1, 3, side, side, generator=torch.Generator().manual_seed(0))
    offsets = (torch.arange(side) - PROBED_RADIUS).abs()
    distances = torch.maximum(offsets[:, None], offsets[None])
    expected = _pixel(generator, lr, PROBED_RADIUS)
    tolerance = NO_DIFFERENCE * max(float(expected.abs().max()), 1.0)

    def reaches(distance: int) -> bool:
        changed = torch.where(distances >= distance, others, lr)
        return float((_pixel(generator, changed, PROBED_RADIUS) - expected).abs().max()) > tolerance

    if reaches(MAX_RADIUS + 1):
        return UNBOUNDED
    # The distances at which a change has an effect are those up to the radius.
    return bisect_left(range(1, MAX_RADIUS + 1), True, key=lambda distance: not reaches(distance))


@torch.inference_mode()
def measured_multiple(generator: Generator) -> int:
    """Return the number of LR pixels by whose multiples a picture may be moved.

    A network that divides a picture into windows gives other results for other positions. 1 where
    no number of `MULTIPLES` leaves them as they are.
    """
    side, most = 2 * PROBED_RADIUS + 1, max(MULTIPLES)
    full = side + most
    lr = torch.rand(1, 3, full, full, generator=torch.Generator().manual_seed(0))
    expected = _pixel(generator, lr[..., most:, most:], PROBED_RADIUS)
    tolerance = ROUNDING * max(float(expected.abs().max()), 1.0)
    for multiple in MULTIPLES:
        moved = lr[..., most - multiple :, most - multiple :]
        result = _pixel(generator, moved, PROBED_RADIUS + multiple)
        if float((result - expected).abs().max()) <= tolerance:
            return multiple
    return 1


def _pixel(generator: Generator, lr: Tensor, position: int) -> Tensor:
    """Return the SR pixels of one LR pixel on the diagonal of `(1, 3, h, h)`."""
    start = position * generator.scale
    rows = slice(start, start + generator.scale)
    pixel: Tensor = generator(lr.to(generator.device))[0, :, rows, rows].cpu()
    return pixel


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
