"""Windows of tiles, their overlap and their side."""

import math
from itertools import product

import numpy as np
import pytest
import torch

from pipeline.networks import RCAN, Generator, RRDBNet, SRResNet, tiles
from pipeline.networks.files import load_generator
from pipeline.networks.tiles import (
    MEMORY_FACTOR,
    SMALLEST_TILE,
    best_batch,
    best_tile,
    bytes_per_pixel,
    enlarge,
    tile_bytes,
    tile_overlap,
    tile_windows,
)
from pipeline.shipped import shipped_models


@pytest.mark.parametrize(
    ("width", "height", "tile"), [(50, 34, (16, 12)), (64, 64, (32, 32)), (1, 70, (16, 16))]
)
def test_windows_cover_every_pixel_once(width: int, height: int, tile: tuple[int, int]) -> None:
    seen = np.zeros((height, width), int)
    for window in tile_windows(width, height, tile, overlap=5):
        left, top, right, bottom = window.inner
        seen[top:bottom, left:right] += 1
        assert right - left <= tile[0]
        assert bottom - top <= tile[1]
        assert window.outer[0] == max(left - 5, 0)
        assert window.outer[3] == min(bottom + 5, height)
    assert (seen == 1).all()


def test_what_is_kept_of_a_tile_is_where_it_belongs() -> None:
    rows, columns = np.mgrid[:34, :50]
    for window in tile_windows(50, 34, (16, 12), overlap=5):
        left, top, right, bottom = window.outer
        large = np.kron(rows * 50 + columns, np.ones((2, 2)))
        computed = large[top * 2 : bottom * 2, left * 2 : right * 2]
        assert (computed[window.crop_slices(2)] == large[window.output_slices(2)]).all()


def test_windows_reach_beyond_a_picture_that_repeats() -> None:
    (window,) = tile_windows(50, 34, (64, 64), overlap=5, beyond=5)
    assert (window.inner, window.outer) == ((0, 0, 50, 34), (-5, -5, 55, 39))
    assert window.crop_slices(2) == (slice(10, 78), slice(10, 110))


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (70, [(0, 48), (22, 70), (54, 70)]),
        (64, [(0, 48), (16, 64)]),
        (90, [(0, 48), (27, 75), (58, 90)]),
        (45, [(0, 45), (13, 45)]),
        (20, [(0, 20)]),
    ],
)
def test_windows_are_of_widths_that_are_fast_by_more_overlap(
    width: int, columns: list[tuple[int, int]]
) -> None:
    windows = list(tile_windows(width, 40, (32, 64), overlap=5, width_multiple=16))
    assert [(left, right) for left, _, right, _ in (one.outer for one in windows)] == columns
    assert {one.outer[1::2] for one in windows} == {(0, 40)}


def test_overlap_is_the_receptive_radius_but_at_most_64() -> None:
    assert tile_overlap(SRResNet()) == 14
    assert tile_overlap(SRResNet(blocks=16, norm="none", upsampling="direct")) == 38
    assert tile_overlap(RRDBNet(blocks=6)) == 64


def test_memory_of_a_pixel_is_that_of_the_largest_layer() -> None:
    """In SRResNet it is the last activation, of 64 channels at 16 HR pixels, 4 bytes each."""
    assert bytes_per_pixel(SRResNet(norm="none")) == 2 * 64 * 16 * 4 * MEMORY_FACTOR
    direct = SRResNet(blocks=1, norm="none", upsampling="direct")
    assert bytes_per_pixel(direct) == 3 * 64 * 4 * MEMORY_FACTOR, "two features and their sum"


def test_memory_of_a_pixel_is_measured_once() -> None:
    """It takes as long as a small picture, and is asked for with each."""
    network, inputs = SRResNet(blocks=1, norm="none"), list[torch.Tensor]()
    network.register_forward_pre_hook(lambda _, arguments: inputs.append(arguments[0]))
    assert bytes_per_pixel(network) == bytes_per_pixel(network)
    assert len(inputs) == 1


class Windowed(SRResNet):
    """Takes windows that begin at multiples of 8."""

    tile_multiple = 8


class Whole(SRResNet):
    """Depends on the whole picture."""

    prefers_whole = True


CPU = torch.device("cpu")
DEEP = SRResNet(blocks=16, features=8, norm="none", upsampling="direct")
NETWORKS = [
    (SRResNet(features=8), 284),
    (DEEP, 456),
    (RRDBNet(blocks=6, features=8, growth=4), 768),
    (Windowed(features=8), 288),
]


def windows_of(
    network: Generator,
    size: tuple[int, int],
    tile: tuple[int, int],
    repeats: bool,
    width_multiple: int,
) -> list[tuple[int, int]]:
    """Return width and height of what is computed for each tile."""
    overlap = tile_overlap(network)
    beyond = overlap if repeats else 0
    windows = list(tile_windows(*size, tile, overlap, beyond, width_multiple))
    if width_multiple == 1:
        positions = [position for window in windows for position in window.outer[:2]]
        assert all(position % network.tile_multiple == 0 for position in positions)
    outer = [window.outer for window in windows]
    return [(right - left, bottom - top) for left, top, right, bottom in outer]


@pytest.mark.parametrize(
    ("size", "repeats", "multiple"),
    [
        ((640, 480), False, 1),
        ((640, 480), False, 16),
        ((1280, 720), False, 1),
        ((700, 90), True, 1),
    ],
)
@pytest.mark.parametrize(("network", "fastest"), NETWORKS[:2])
def test_least_is_computed_twice_in_windows_as_large_as_is_fast(
    network: Generator,
    fastest: int,
    repeats: bool,
    size: tuple[int, int],
    multiple: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tiles, "free_memory", lambda _: 10**12)
    computed = []
    for columns, rows in product(range(1, 12), repeat=2):
        tile = (math.ceil(size[0] / columns / 8) * 8, math.ceil(size[1] / rows / 8) * 8)
        windows = windows_of(network, size, tile, repeats, multiple)
        if max(math.prod(window) for window in windows) <= fastest**2:
            computed.append(sum(math.prod(window) for window in windows))
    tile = best_tile(network, CPU, *size, repeats=repeats, width_multiple=multiple)
    best = windows_of(network, size, tile, repeats, multiple)
    assert sum(math.prod(window) for window in best) == min(computed)


@pytest.mark.parametrize("size", [(3000, 3000), (300, 9000), (1300, 260), (250, 250), (1, 5000)])
@pytest.mark.parametrize(("repeats", "multiple"), [(False, 1), (True, 1), (False, 16)])
@pytest.mark.parametrize(("network", "fastest"), NETWORKS)
def test_windows_are_no_larger_than_is_fast_and_fits_into_half_of_the_free_memory(
    network: Generator,
    fastest: int,
    repeats: bool,
    size: tuple[int, int],
    multiple: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    least = SMALLEST_TILE + 2 * tile_overlap(network) + multiple
    for side in (10_000, 250):
        free = 2 * side**2 * bytes_per_pixel(network)
        monkeypatch.setattr(tiles, "free_memory", lambda _, free=free: free)
        tile = best_tile(network, CPU, *size, repeats=repeats, width_multiple=multiple)
        largest = max(math.prod(one) for one in windows_of(network, size, tile, repeats, multiple))
        assert largest <= max(min(side, fastest), least) ** 2
        checked = tile_bytes(network, *size, tile, 0, repeats, multiple)
        assert checked >= largest * bytes_per_pixel(network)


def test_a_network_that_depends_on_the_whole_picture_gets_it_where_memory_allows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = Whole(norm="none")
    monkeypatch.setattr(tiles, "free_memory", lambda _: 2 * 10**6 * bytes_per_pixel(network))
    assert best_tile(network, CPU, 2000, 500) == (2000, 504)
    assert max(best_tile(network, CPU, 2001, 500)) < 2001


def test_what_others_take_leaves_smaller_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    network = SRResNet(norm="none")
    free = int(2 * 100**2 * bytes_per_pixel(network))
    monkeypatch.setattr(tiles, "free_memory", lambda _: 4 * free)
    overlap = 2 * tile_overlap(network)
    for options, side in (
        ({}, 200),
        ({"reserved": 3 * free}, 100),
        ({"images": 4}, 100),
        ({"reserved": 5 * free}, SMALLEST_TILE + overlap),
    ):
        width, height = best_tile(network, CPU, 10_000, 10_000, **options)
        assert side**2 * 0.75 < (width + overlap) * (height + overlap) <= side**2


def test_a_gpu_gets_as_many_pictures_as_fit_and_a_cpu_small_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = SRResNet(norm="none")
    monkeypatch.setattr(tiles, "free_memory", lambda _: 14_000 * bytes_per_pixel(network))
    assert best_batch(network, torch.device("cuda"), 1000) == 7
    assert best_batch(network, torch.device("cuda"), 10_000) == 1
    threads = torch.get_num_threads()
    assert best_batch(network, torch.device("cpu"), 20_000) == threads
    assert best_batch(network, torch.device("cpu"), 20_000 * threads + 1) == 1


def noise(height: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (3, height, width), generator=generator, dtype=torch.uint8)


def sizes_taken(network: Generator, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Record the height and width of each picture that the network takes."""
    taken: list[tuple[int, int]] = []
    whole = network.enlarge

    def record(lr: torch.Tensor) -> torch.Tensor:
        taken.append((lr.shape[-2], lr.shape[-1]))
        return whole(lr)

    monkeypatch.setattr(network, "enlarge", record)
    return taken


def test_a_large_picture_is_enlarged_in_tiles_that_leave_no_trace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = load_generator(shipped_models()["perception"], torch.device("cpu")).generator
    lr = noise(70, 300)
    expected = network.enlarge(lr[None])[0]
    taken = sizes_taken(network, monkeypatch)
    assert torch.equal(enlarge(network, lr), expected)
    overlap = tile_overlap(network)
    assert taken == [(70, 256 + overlap), (70, 300 - 256 + overlap)]


@pytest.mark.parametrize(
    ("network", "width"),
    [
        (SRResNet(blocks=1, features=8, norm="none"), 256),
        (RCAN(groups=1, blocks=1, features=16), 257),
        (RRDBNet(blocks=23, features=8, growth=4), 257),
    ],
)
def test_a_small_picture_is_enlarged_whole_and_one_whose_tiles_would_differ(
    network: Generator, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = sizes_taken(network.eval(), monkeypatch)
    assert enlarge(network, noise(8, width)).shape == (3, 32, width * 4)
    assert taken == [(8, width)]
