"""The local range and the local means of an enlarged picture are its input's."""

from itertools import combinations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.upscaling.consistency import REACH, make_consistent

SCALE = 4
LEVEL = 1 / 255


def enlarged(lr: Tensor) -> Tensor:
    """Return each pixel of `(N, C, h, w)` as a block."""
    return lr.repeat_interleave(SCALE, 2).repeat_interleave(SCALE, 3)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("colour", [(0, 1, 0), (1, 0, 1), (0.5, 0.25, 0.75)])
def test_flat_colours_stay_flat_up_to_the_border_whatever_the_network_draws(
    colour: tuple[float, float, float],
) -> None:
    lr = torch.tensor(colour).view(1, 3, 1, 1).expand(1, 3, 12, 9)

    sr = make_consistent(noise(1, 3, 48, 36), lr)

    assert (sr - enlarged(lr)).abs().max() <= 1e-6


PATTERNS = ["10/01", "1010", "1/0", "1000/0000", "100/010/001", "100", "1/0/0/0/0", "1100/0011"]
COLOURS = [(0, 0, 0), (1, 1, 1), (1, 0, 0), (0, 0, 1), (1, 1, 0), (0.16, 0.16, 0.16)]


@pytest.mark.parametrize("size", [(7, 23), (40, 40), (100, 36)])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_of_single_pixels_keeps_its_mean_colour(
    pattern: str, size: tuple[int, int]
) -> None:
    """Rounded to 8 bits too: within a level, whatever the network makes of it."""
    rows = torch.tensor([[int(cell) for cell in row] for row in pattern.split("/")])
    cells = rows.repeat(size[0], size[1])[: size[0], : size[1]]
    pairs = torch.tensor(list(combinations(COLOURS, 2)), dtype=torch.float32)
    lr = pairs[:, cells].permute(0, 3, 1, 2)
    blocks = enlarged(lr)

    for drawn in (noise(*blocks.shape) * 0.8, torch.full_like(blocks, 0.5), 0 * blocks):
        sr = make_consistent(drawn, lr)
        for result in (sr, (sr / LEVEL).round() * LEVEL):
            assert (result.mean((2, 3)) - lr.mean((2, 3))).abs().max() <= LEVEL


def test_what_is_consistent_stays_as_it_is() -> None:
    sr = torch.ones(1, 1, 64, 64)
    sr[..., 30] = 0
    sr[:, :, 17] = 0.3
    lr = F.avg_pool2d(sr, SCALE)

    assert (make_consistent(sr, lr) - sr).abs().max() < 1e-6


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_no_value_leaves_the_range_of_what_surrounds_it(scale: int) -> None:
    lr = 0.4 + 0.02 * noise(1, 3, 10, 10)

    sr = make_consistent(noise(1, 3, 10 * scale, 10 * scale, seed=1), lr)

    assert sr.min() >= 0.4 - 3 * 0.02 - LEVEL
    assert sr.max() <= 0.42 + 3 * 0.02 + LEVEL


def test_pixels_beyond_the_reach_change_nothing() -> None:
    lr, sr = noise(1, 3, 40, 8), noise(1, 3, 160, 32, seed=1)
    whole = make_consistent(sr, lr)
    start = 20 - REACH

    part = make_consistent(sr[:, :, start * SCALE :], lr[:, :, start:])

    torch.testing.assert_close(part[:, :, REACH * SCALE :], whole[:, :, 20 * SCALE :])


def test_the_input_is_left_alone() -> None:
    sr = noise(1, 3, 8, 8)
    before = sr.clone()

    make_consistent(sr, torch.zeros(1, 3, 2, 2))

    assert torch.equal(sr, before)
