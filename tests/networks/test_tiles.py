"""Windows of tiles, their overlap and their side."""

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
    tile_overlap,
    tile_windows,
)
from pipeline.shipped import shipped_models


@pytest.mark.parametrize(("width", "height", "tile"), [(50, 34, 16), (64, 64, 32), (1, 70, 16)])
def test_windows_cover_every_pixel_once(width: int, height: int, tile: int) -> None:
    seen = np.zeros((height, width), int)
    for window in tile_windows(width, height, tile, overlap=5):
        left, top, right, bottom = window.inner
        seen[top:bottom, left:right] += 1
        assert max(right - left, bottom - top) <= tile
        assert window.outer[0] == max(left - 5, 0)
        assert window.outer[3] == min(bottom + 5, height)
    assert (seen == 1).all()


def test_what_is_kept_of_a_tile_is_where_it_belongs() -> None:
    rows, columns = np.mgrid[:34, :50]
    for window in tile_windows(50, 34, 16, overlap=5):
        left, top, right, bottom = window.outer
        large = np.kron(rows * 50 + columns, np.ones((2, 2)))
        computed = large[top * 2 : bottom * 2, left * 2 : right * 2]
        assert (computed[window.crop_slices(2)] == large[window.output_slices(2)]).all()


def test_windows_reach_beyond_a_picture_that_repeats() -> None:
    (window,) = tile_windows(50, 34, 64, overlap=5, beyond=5)
    assert (window.inner, window.outer) == ((0, 0, 50, 34), (-5, -5, 55, 39))
    assert window.crop_slices(2) == (slice(10, 78), slice(10, 110))


def test_overlap_is_the_receptive_radius_but_at_most_64() -> None:
    assert tile_overlap(SRResNet()) == 14
    assert tile_overlap(SRResNet(blocks=16, norm="none", upsampling="direct")) == 38
    assert tile_overlap(RRDBNet(blocks=6)) == 64


def test_memory_of_a_pixel_is_that_of_the_largest_layer() -> None:
    """In SRResNet it is the last activation, of 64 channels at 16 HR pixels, 4 bytes each."""
    assert bytes_per_pixel(SRResNet(norm="none")) == 2 * 64 * 16 * 4 * MEMORY_FACTOR
    direct = SRResNet(blocks=1, norm="none", upsampling="direct")
    assert bytes_per_pixel(direct) == 3 * 64 * 4 * MEMORY_FACTOR, "two features and their sum"


@pytest.mark.parametrize(
    ("network", "fastest"),
    [(SRResNet(), 256), (RRDBNet(blocks=6), 640), (RCAN(groups=10, blocks=1), 340)],
)
def test_tiles_are_as_large_as_is_fast_and_as_memory_allows(
    network: Generator, fastest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu = torch.device("cpu")
    for gigabytes, side in ((1000, fastest), (0, 32)):
        monkeypatch.setattr(tiles, "free_memory", lambda _, free=gigabytes: free * 10**9)
        assert best_tile(network, cpu, 10_000) == side
    monkeypatch.setattr(tiles, "free_memory", lambda _: 2 * 150**2 * bytes_per_pixel(network))
    assert best_tile(network, cpu, 10_000) == max(150 - 2 * tile_overlap(network), 32)


def test_what_others_take_leaves_smaller_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    network, cpu = SRResNet(norm="none"), torch.device("cpu")
    free = int(2 * 100**2 * bytes_per_pixel(network))
    monkeypatch.setattr(tiles, "free_memory", lambda _: 4 * free)
    overlap = 2 * tile_overlap(network)
    assert best_tile(network, cpu, 10_000) == 200 - overlap
    assert best_tile(network, cpu, 10_000, reserved=3 * free) == 100 - overlap
    assert best_tile(network, cpu, 10_000, images=4) == 100 - overlap
    assert best_tile(network, cpu, 10_000, reserved=5 * free) == SMALLEST_TILE


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
