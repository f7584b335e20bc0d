"""Windows of tiles, their overlap and their side."""

import numpy as np
import pytest
import torch

from pipeline.networks import RCAN, Generator, RRDBNet, SRResNet
from pipeline.upscaling import tiles
from pipeline.upscaling.tiles import (
    MEMORY_FACTOR,
    best_tile,
    bytes_per_pixel,
    tile_overlap,
    tile_windows,
)


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
