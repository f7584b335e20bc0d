"""Cutting a picture into tiles: where they lie, and how large they may be."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import psutil
import torch
from torch import Tensor, nn

from pipeline.devices import free_cuda_memory
from pipeline.networks import Generator

# What lies further away changes a result too little to pay for it: x4plus-anime looks 94 LR pixels
# far, and differs from the whole picture by one level in 3 of 100,000 samples then (with an overlap
# of 48 in 2 of 1,000).
MAX_OVERLAP = 64
SMALLEST_TILE = 32
# Larger tiles compute less twice, smaller ones stay in a processor's caches: 256 is fastest with an
# overlap of 14, 384 with one of 38.
USUAL_TILE = 256
TILE_PER_OVERLAP = 10
PROBE_SIDE = 16
BYTES = 4
# Beside the layer at work there are skips, the convolution's own workspace and the tile's result.
RESERVE = 2.5
SHARE_OF_FREE_MEMORY = 0.5


@dataclass(frozen=True)
class Window:
    """A rectangle of the LR picture that becomes one tile, and the larger one that is computed."""

    inner: tuple[int, int, int, int]
    """left, top, right, bottom of what is kept"""
    outer: tuple[int, int, int, int]
    """the same with the overlap, cut at the picture's edges"""

    def target(self, scale: int) -> tuple[slice, slice]:
        """Rows and columns of the result that this tile becomes."""
        left, top, right, bottom = (side * scale for side in self.inner)
        return slice(top, bottom), slice(left, right)

    def kept(self, scale: int) -> tuple[slice, slice]:
        """The same rows and columns, in what was computed."""
        left, top = self.outer[0] * scale, self.outer[1] * scale
        rows, columns = self.target(scale)
        return (
            slice(rows.start - top, rows.stop - top),
            slice(columns.start - left, columns.stop - left),
        )


def windows(width: int, height: int, tile: int, overlap: int) -> Iterator[Window]:
    """Cover a `width` × `height` picture with tiles of at most `tile` pixels a side, row by row."""
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            right, bottom = min(left + tile, width), min(top + tile, height)
            outer = (
                max(left - overlap, 0),
                max(top - overlap, 0),
                min(right + overlap, width),
                min(bottom + overlap, height),
            )
            yield Window((left, top, right, bottom), outer)


def overlap_of(generator: Generator) -> int:
    """LR pixels that are computed beyond a tile's edges: all that its result depends on, or 64."""
    return min(generator.receptive_radius, MAX_OVERLAP)


def best_tile(generator: Generator, device: torch.device) -> int:
    """The side of tiles, LR pixels, that is fastest within half of the memory that is free."""
    overlap = overlap_of(generator)
    pixels = free_memory(device) * SHARE_OF_FREE_MEMORY / bytes_per_pixel(generator)
    fitting = math.isqrt(int(pixels)) - 2 * overlap
    return max(min(fitting, max(USUAL_TILE, TILE_PER_OVERLAP * overlap)), SMALLEST_TILE)


def free_memory(device: torch.device) -> int:
    """Bytes that can be had on `device` without harm to others."""
    if device.type == "cuda":
        return free_cuda_memory(device)
    return int(psutil.virtual_memory().available)


@torch.inference_mode()
def bytes_per_pixel(generator: Generator) -> float:
    """Memory that an LR pixel takes in fp32: by the layer with the most input and output."""
    most = 0

    def look(_: nn.Module, given: tuple[Tensor, ...], result: Tensor) -> None:
        nonlocal most
        most = max(most, sum(tensor.numel() for tensor in given) + result.numel())

    layers = [module for module in generator.modules() if not list(module.children())]
    handles = [layer.register_forward_hook(look) for layer in layers]
    try:
        weight = next(generator.parameters())
        generator(torch.zeros(1, 3, PROBE_SIDE, PROBE_SIDE, device=weight.device))
    finally:
        for handle in handles:
            handle.remove()
    return most * BYTES * RESERVE / PROBE_SIDE**2
