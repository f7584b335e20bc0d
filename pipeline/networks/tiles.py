"""Tiles: their windows in a picture, their overlap, their side by the free memory; their use."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from pipeline.devices import free_memory
from pipeline.networks import Generator
from pipeline.networks.tensor_files import tensors_in

# Pixels further away change a result too little to pay for: x4plus-anime has a receptive radius of
# 94 LR pixels, and with this overlap its tiles differ from the whole picture by one level in 3 of
# 100,000 samples (with an overlap of 48 in 2 of 1,000).
MAX_OVERLAP = 64
SMALLEST_TILE = 32
# Larger tiles compute less of the overlap twice, smaller ones stay in a processor's caches: 256 is
# fastest with an overlap of 14, 384 with one of 38.
USUAL_TILE = 256
TILE_PER_OVERLAP = 10
# For each thread, what fits into its core's caches. Threads share a small picture badly: of
# 96 × 96 two of them take as long as one, and 4 at once take half of the time.
CPU_PIXELS = 20_000
PROBE_SIDE = 16
FLOAT_BYTES = 4
# Memory beside that of the largest layer: skips, the convolution's workspace, the tile's result.
MEMORY_FACTOR = 2.5
# Of a window's result, while it is clamped and rounded.
RESULT_COPIES = 4
SHARE_OF_FREE_MEMORY = 0.5


@dataclass(frozen=True)
class Window:
    """A tile of the LR picture, and the larger window that is computed for it."""

    inner: tuple[int, int, int, int]
    """left, top, right, bottom of the tile, LR pixels"""
    outer: tuple[int, int, int, int]
    """the same with the overlap, as far as windows may reach"""

    def output_slices(self, scale: int) -> tuple[slice, slice]:
        """Return rows and columns of this tile in the enlarged picture."""
        left, top, right, bottom = (side * scale for side in self.inner)
        return slice(top, bottom), slice(left, right)

    def crop_slices(self, scale: int) -> tuple[slice, slice]:
        """Return rows and columns of this tile in its enlarged outer window."""
        left, top = self.outer[0] * scale, self.outer[1] * scale
        rows, columns = self.output_slices(scale)
        return (
            slice(rows.start - top, rows.stop - top),
            slice(columns.start - left, columns.stop - left),
        )


def tile_windows(
    width: int, height: int, tile: int, overlap: int, beyond: int = 0
) -> Iterator[Window]:
    """Yield tiles with sides of at most `tile` pixels that cover a picture, row by row.

    `beyond`: how far windows may reach beyond the picture's edges, where positions are negative, or
    larger than its sides.
    """
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            right, bottom = min(left + tile, width), min(top + tile, height)
            outer = (
                max(left - overlap, -beyond),
                max(top - overlap, -beyond),
                min(right + overlap, width + beyond),
                min(bottom + overlap, height + beyond),
            )
            yield Window((left, top, right, bottom), outer)


def tile_overlap(generator: Generator, reach: int = 0) -> int:
    """Return how far windows reach beyond tiles, LR pixels: the receptive radius, or 64.

    `reach`: how far what follows the network looks around.
    """
    radius = min(generator.receptive_radius, MAX_OVERLAP) + reach
    return _next_multiple(radius, generator.tile_multiple)


def best_tile(
    generator: Generator,
    device: torch.device,
    picture_side: int,
    *,
    images: int = 1,
    reach: int = 0,
    reserved: int = 0,
) -> int:
    """Return the side of tiles, LR pixels, that is fastest within half of the free memory.

    `picture_side` is the longer side of the picture: up to that the side is as large as the memory
    allows where the network depends on the whole picture. `images`: how many the network gets at
    once for a tile, as colours and alpha. `reach`: as of `tile_overlap`. `reserved`: bytes of what
    is free that others will take.
    """
    pixels = _usable_memory(device, reserved) / (bytes_per_pixel(generator) * images)
    largest = math.isqrt(int(pixels))
    if picture_side <= min(largest, USUAL_TILE):
        return picture_side
    overlap = tile_overlap(generator, reach)
    fastest = max(USUAL_TILE, TILE_PER_OVERLAP * overlap)
    if generator.prefers_whole:
        fastest = max(fastest, picture_side)
    return max(min(largest - 2 * overlap, fastest), SMALLEST_TILE)


def best_batch(generator: Generator, device: torch.device, pixels: int) -> int:
    """Return how many windows of `pixels` LR pixels go through the network at once.

    On a CPU several small ones; more would not fit into its caches.
    """
    if device.type == "cpu":
        return max(CPU_PIXELS * torch.get_num_threads() // pixels, 1)
    return max(int(_usable_memory(device) / (bytes_per_pixel(generator) * pixels)), 1)


def tile_bytes(generator: Generator, width: int, height: int, tile: int, reach: int) -> int:
    """Return the memory for the largest window of a picture: of the network, and of its result.

    `reach`: as of `tile_overlap`.
    """
    largest = tile + 2 * tile_overlap(generator, reach)
    result = RESULT_COPIES * 3 * generator.scale**2 * FLOAT_BYTES
    per_pixel = bytes_per_pixel(generator) + result
    return int(per_pixel * min(width, largest) * min(height, largest))


def _usable_memory(device: torch.device, reserved: int = 0) -> float:
    return max(free_memory(device) - reserved, 0) * SHARE_OF_FREE_MEMORY


def aligned_tile(generator: Generator, tile: int) -> int:
    """Return the side of tiles, LR pixels, that is a multiple of what the network asks for."""
    return _next_multiple(tile, generator.tile_multiple)


def enlarge(generator: Generator, lr: Tensor, bounded: bool = False) -> Tensor:
    """Enlarge a picture as `Generator.enlarge` does, a large one in tiles: (3, h, w) uint8.

    In tiles only where that gives the same result, where they can overlap by all that a pixel
    depends on; `bounded`: always, so that memory is that of a tile. Their side is fixed, so that
    the result does not depend on the free memory.
    """
    height, width = lr.shape[-2:]
    in_tiles = bounded or _is_exact_in_tiles(generator)
    if max(height, width) <= USUAL_TILE or not in_tiles:
        return generator.enlarge(lr[None])[0]
    scale, tile = generator.scale, aligned_tile(generator, USUAL_TILE)
    sr = torch.empty(3, height * scale, width * scale, dtype=torch.uint8)
    for window in tile_windows(width, height, tile, tile_overlap(generator)):
        left, top, right, bottom = window.outer
        enlarged = generator.enlarge(lr[None, :, top:bottom, left:right])[0]
        sr[:, *window.output_slices(scale)] = enlarged[:, *window.crop_slices(scale)]
    return sr


def _is_exact_in_tiles(generator: Generator) -> bool:
    if generator.uses_whole or generator.prefers_whole:
        return False
    return generator.receptive_radius <= MAX_OVERLAP


@torch.inference_mode()
def bytes_per_pixel(generator: Generator) -> float:
    """Return the memory per LR pixel in fp32, by the operation with the most input and output."""
    if generator.values_per_pixel is not None:
        return generator.values_per_pixel * FLOAT_BYTES * MEMORY_FACTOR
    with _LargestOperation() as largest:
        generator(torch.zeros(1, 3, PROBE_SIDE, PROBE_SIDE, device=generator.device))
    width, height = generator.computed_size(PROBE_SIDE, PROBE_SIDE)
    per_pixel: float = largest.values * FLOAT_BYTES * MEMORY_FACTOR / (width * height)
    return per_pixel


# A TorchDispatchMode would import torch._dynamo, which takes two seconds.
class _LargestOperation(TorchFunctionMode):
    """Measures the most values that the input and output of one operation have together."""

    def __init__(self) -> None:
        super().__init__()
        self.values: int = 0

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        tensors = tensors_in((args, result))
        sizes = (tensor.numel() for tensor in tensors if not isinstance(tensor, nn.Parameter))
        self.values = max(self.values, sum(sizes))
        return result


def _next_multiple(number: int, factor: int) -> int:
    return math.ceil(number / factor) * factor
