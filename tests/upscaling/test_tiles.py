"""Where tiles lie, and how large they may be."""

import numpy as np
import pytest
import torch

from pipeline.networks import RCAN, RRDBNet, SRResNet
from pipeline.upscaling.tiles import RESERVE, bytes_per_pixel, largest_tile, overlap_of, windows


@pytest.mark.parametrize(("width", "height", "tile"), [(50, 34, 16), (64, 64, 32), (1, 70, 16)])
def test_windows_cover_every_pixel_once(width: int, height: int, tile: int) -> None:
    seen = np.zeros((height, width), int)
    for window in windows(width, height, tile, overlap=5):
        left, top, right, bottom = window.inner
        seen[top:bottom, left:right] += 1
        assert max(right - left, bottom - top) <= tile
        assert window.outer[0] == max(left - 5, 0)
        assert window.outer[3] == min(bottom + 5, height)
    assert (seen == 1).all()


def test_what_is_kept_of_a_tile_is_where_it_belongs() -> None:
    rows, columns = np.mgrid[:34, :50]
    for window in windows(50, 34, 16, overlap=5):
        left, top, right, bottom = window.outer
        large = np.kron(rows * 50 + columns, np.ones((2, 2)))
        computed = large[top * 2 : bottom * 2, left * 2 : right * 2]
        assert (computed[window.kept(2)] == large[window.target(2)]).all()


def test_overlap_is_all_that_a_result_depends_on_but_no_more_than_64() -> None:
    assert overlap_of(SRResNet()) == 14
    assert overlap_of(SRResNet(blocks=16, norm="none", upsampling="direct")) == 38
    assert overlap_of(RRDBNet(blocks=6)) == 64


def test_memory_of_a_pixel_is_that_of_the_fattest_layer() -> None:
    """In SRResNet it is the last activation, of 64 channels at 16 places, 4 bytes each."""
    assert bytes_per_pixel(SRResNet(norm="none")) == 2 * 64 * 16 * 4 * RESERVE
    direct = SRResNet(blocks=1, norm="none", upsampling="direct")
    assert bytes_per_pixel(direct) == 2 * 64 * 4 * RESERVE


@pytest.mark.parametrize("network", [SRResNet(), RRDBNet(blocks=1), RCAN(groups=1, blocks=1)])
def test_tiles_have_a_sound_size_on_any_machine(network: torch.nn.Module) -> None:
    assert 32 <= largest_tile(network, torch.device("cpu")) <= 2048
