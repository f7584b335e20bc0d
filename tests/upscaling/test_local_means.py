"""Clamped values whose local means stay."""

import torch

from pipeline.upscaling.local_means import CLAMP_REACH, clamp_keeping_means


def noise(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def test_values_within_the_range_stay_as_they_are() -> None:
    values = noise(2, 3, 9, 7)
    assert torch.equal(clamp_keeping_means(values), values)


def test_what_is_cut_off_is_given_to_the_nearest_pixels() -> None:
    values = torch.full((1, 1, 9, 9), 0.5)
    values[..., 4, 4] = 1.3
    clamped = clamp_keeping_means(values)
    assert clamped[..., 4, 4] == 1
    torch.testing.assert_close(clamped.sum(), values.sum())
    changed = (clamped != 0.5).nonzero()[:, 2:]
    assert changed.min() == 4 - 2
    assert changed.max() == 4 + 2


def test_black_is_made_up_for_as_white_is() -> None:
    values = torch.linspace(-0.2, 1.2, 40).expand(1, 1, 40, 40)
    clamped = clamp_keeping_means(values)
    torch.testing.assert_close(1 - clamp_keeping_means(1 - values), clamped)


def test_what_neighbours_lose_makes_up_for_each_other() -> None:
    values = torch.tensor([1.1, -0.1]).repeat(20).expand(1, 1, 9, 40)
    inner = slice(CLAMP_REACH, -CLAMP_REACH)
    difference = clamp_keeping_means(values) - values.clamp(0, 1)
    assert difference[..., inner].abs().max() < 0.01


def test_nothing_leaves_its_limits_where_there_is_no_room() -> None:
    values, highest = 3 * noise(1, 3, 20, 20), noise(1, 1, 20, 20)
    clamped = clamp_keeping_means(values, highest)
    assert clamped.min() >= 0
    assert (clamped <= highest + 1e-6).all()


def test_values_beyond_the_reach_change_nothing() -> None:
    values = 3 * noise(1, 3, 20, 20) - 1
    part = clamp_keeping_means(values[..., 10 - CLAMP_REACH :])
    torch.testing.assert_close(part[..., CLAMP_REACH:], clamp_keeping_means(values)[..., 10:])
