"""Tiles: their windows in a picture, their overlap, their side by the free memory; their use."""

import math
from bisect import bisect_left
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
# fastest with an overlap of 14, 384 with one of 38; of other shapes, what is as large with overlap.
USUAL_TILE = 256
TILE_PER_OVERLAP = 10
# Of automatic tiles, and proportionally more on sides that are longer: fewer sizes to compare.
TILE_STEP = 8
USUAL_SIDE = 65_536
# Convolutions in bf16 on a processor with AMX are fast at multiples of it; at other widths, such as
# 363, 463 and 683, they may take three to five times as long.
FAST_WIDTHS = 16
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
    width: int,
    height: int,
    tile: tuple[int, int],
    overlap: int,
    beyond: int = 0,
    width_multiple: int = 1,
) -> Iterator[Window]:
    """Yield tiles of at most `tile` pixels, width and height, that cover a picture, row by row.

    `beyond`: how far windows may reach beyond the picture's edges, where positions are negative, or
    larger than its sides. `width_multiple`: of which windows' widths are, by more overlap, unless
    the picture is too narrow.
    """
    columns = list(_spans(width, tile[0], overlap, beyond, width_multiple))
    for row in _spans(height, tile[1], overlap, beyond):
        for column in columns:
            yield Window(
                (column.start, row.start, column.stop, row.stop),
                (column.outer.start, row.outer.start, column.outer.stop, row.outer.stop),
            )


@dataclass(frozen=True)
class _Span:
    """Where a tile lies along one axis, LR pixels."""

    start: int
    stop: int
    outer: range
    """of its window"""


def _spans(
    side: int, tile: int, overlap: int, beyond: int, window_multiple: int = 1
) -> Iterator[_Span]:
    """Yield the tiles of one axis, as of `tile_windows`."""
    for start in range(0, side, tile):
        stop = min(start + tile, side)
        first, last = max(start - overlap, -beyond), min(stop + overlap, side + beyond)
        length = _next_multiple(last - first, window_multiple)
        last = min(first + length, side + beyond)
        yield _Span(start, stop, range(max(last - length, -beyond), last))


def tile_overlap(generator: Generator, reach: int = 0) -> int:
    """Return how far windows reach beyond tiles, LR pixels: the receptive radius, or 64.

    `reach`: how far what follows the network looks around.
    """
    radius = min(generator.receptive_radius, MAX_OVERLAP) + reach
    return _next_multiple(radius, generator.tile_multiple)


def best_tile(
    generator: Generator,
    device: torch.device,
    width: int,
    height: int,
    *,
    repeats: bool = False,
    width_multiple: int = 1,
    images: int = 1,
    reach: int = 0,
    reserved: int = 0,
) -> tuple[int, int]:
    """Return width and height of tiles, LR pixels, by which the least is computed twice.

    Their windows are as small as is fast, and fit into half of the free memory; where the network
    depends on the whole picture, they are as large as that. `repeats`: whether windows reach beyond
    the edges of the picture. `width_multiple`: as of `tile_windows`. `images`: how many the network
    gets at once for a tile, as colours and alpha. `reach`: as of `tile_overlap`. `reserved`: bytes
    of what is free that others will take.
    """
    pixels = _usable_memory(device, reserved) / (bytes_per_pixel(generator) * images)
    side, beyond = max(width, height), tile_overlap(generator, reach) if repeats else 0
    if side <= USUAL_TILE and (side + 2 * beyond) ** 2 <= pixels:
        return width, height
    overlap = tile_overlap(generator, reach)
    if not generator.prefers_whole:
        fastest = max(USUAL_TILE, TILE_PER_OVERLAP * overlap) + 2 * overlap
        pixels = min(pixels, fastest**2)
    multiple = generator.tile_multiple
    columns = _divisions(width, multiple, overlap, beyond, width_multiple)
    rows = _divisions(height, multiple, overlap, beyond)
    pairs = [
        (column, rows[index])
        for column in columns
        if (index := bisect_left(rows, -pixels / column.window, key=_negative_window)) < len(rows)
    ]
    if not pairs:
        return columns[-1].tile, rows[-1].tile
    column, row = min(pairs, key=lambda pair: pair[0].computed * pair[1].computed)
    return column.tile, row.tile


@dataclass(frozen=True)
class _Division:
    """One axis of a picture in tiles of even size, LR pixels."""

    tile: int
    window: int
    """the longest"""
    computed: int
    """all windows together"""


def _divisions(
    side: int, multiple: int, overlap: int, beyond: int, window_multiple: int = 1
) -> list[_Division]:
    """Return the divisions of an axis, each with shorter windows than the one before.

    `multiple`: of which tiles are, and what a network makes of windows. Others: as of `_spans`.
    """
    divisions: list[_Division] = []
    step = math.lcm(TILE_STEP * math.ceil(side / USUAL_SIDE), multiple)
    counts = range(1, math.ceil(side / SMALLEST_TILE) + 1)
    for tile in dict.fromkeys(_next_multiple(math.ceil(side / count), step) for count in counts):
        spans = _spans(side, tile, overlap, beyond, window_multiple)
        lengths = [len(span.outer) for span in spans]
        window = _next_multiple(max(lengths), multiple)
        if not divisions or window < divisions[-1].window:
            divisions.append(_Division(tile, window, sum(lengths)))
    return divisions


def _negative_window(division: _Division) -> int:
    return -division.window


def best_batch(generator: Generator, device: torch.device, pixels: int) -> int:
    """Return how many windows of `pixels` LR pixels go through the network at once.

    On a CPU several small ones; more would not fit into its caches.
    """
    if device.type == "cpu":
        return max(CPU_PIXELS * torch.get_num_threads() // pixels, 1)
    return max(int(_usable_memory(device) / (bytes_per_pixel(generator) * pixels)), 1)


def tile_bytes(
    generator: Generator,
    width: int,
    height: int,
    tile: tuple[int, int],
    reach: int,
    repeats: bool = False,
    width_multiple: int = 1,
) -> int:
    """Return the memory for the largest window of a picture: of the network, and of its result.

    `reach`: as of `tile_overlap`. `repeats`, `width_multiple`: as of `best_tile`.
    """
    overlap = tile_overlap(generator, reach)
    beyond = overlap if repeats else 0
    columns, rows = aligned_tile(generator, tile)
    widths = _spans(width, columns, overlap, beyond, width_multiple)
    heights = _spans(height, rows, overlap, beyond)
    largest = (max(len(span.outer) for span in spans) for spans in (widths, heights))
    pixels = math.prod(generator.computed_size(*largest))
    result = RESULT_COPIES * 3 * generator.scale**2 * FLOAT_BYTES
    return int((bytes_per_pixel(generator) + result) * pixels)


def _usable_memory(device: torch.device, reserved: int = 0) -> float:
    return max(free_memory(device) - reserved, 0) * SHARE_OF_FREE_MEMORY


def aligned_tile(generator: Generator, tile: tuple[int, int]) -> tuple[int, int]:
    """Return the sides of tiles, LR pixels, that are multiples of what the network asks for."""
    width, height = (_next_multiple(side, generator.tile_multiple) for side in tile)
    return width, height


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
    scale, tile = generator.scale, aligned_tile(generator, (USUAL_TILE, USUAL_TILE))
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
    if generator.values_per_pixel is None:
        # Kept, since it takes as long as a small picture.
        with _LargestOperation() as largest:
            generator(torch.zeros(1, 3, PROBE_SIDE, PROBE_SIDE, device=generator.device))
        width, height = generator.computed_size(PROBE_SIDE, PROBE_SIDE)
        generator.values_per_pixel = largest.values / (width * height)
    return generator.values_per_pixel * FLOAT_BYTES * MEMORY_FACTOR


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
