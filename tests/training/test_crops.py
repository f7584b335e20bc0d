from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.training.crops import (
    LoadImages,
    RandomCrops,
    detail,
    recolour_levels,
    rotate,
)

SIDE = 20


def images(count: int) -> torch.Tensor:
    """Red names the image, green and blue the row and column of each pixel."""
    pictures = np.zeros((count, SIDE, SIDE, 3), np.uint8)
    pictures[..., 0] = np.arange(count)[:, None, None]
    pictures[..., 1] = np.arange(SIDE)[:, None]
    pictures[..., 2] = np.arange(SIDE)
    return torch.from_numpy(pictures)


def load(pictures: torch.Tensor) -> LoadImages:
    return lambda numbers: (pictures, numbers)


def random_crops(count: int = 7, batch: int = 3, seed: int = 0, crop: int = 8) -> RandomCrops:
    return RandomCrops(load(images(count)), count, crop, batch, seed)


def test_a_batch_is_crops_of_the_images() -> None:
    batch = random_crops()(0)
    assert (batch.shape, batch.dtype) == ((3, 3, 8, 8), torch.uint8)
    for _, rows, columns in batch.int():
        assert (rows.diff(dim=0) == 1).all()
        assert (rows == rows[:, :1]).all()
        step = columns.diff(dim=1)
        assert (step == 1).all() or (step == -1).all()


def test_every_image_comes_once_in_each_epoch() -> None:
    draw = random_crops(count=7, batch=3)
    met = [int(number) for step in range(14) for number in draw(step)[:, 0, 0, 0]]
    passes = [met[start : start + 7] for start in range(0, 42, 7)]
    assert all(sorted(one) == list(range(7)) for one in passes)
    assert len({tuple(one) for one in passes}) > 1


def test_a_batch_may_be_larger_than_the_set() -> None:
    met = random_crops(count=2, batch=5)(0)[:, 0, 0, 0]
    assert sorted(met[:4].tolist()) == [0, 0, 1, 1]


def test_crops_reach_every_position_and_flip_half_of_the_time() -> None:
    draw = random_crops(count=1, batch=16)
    crops = torch.cat([draw(step) for step in range(40)]).int()
    tops, lefts = crops[:, 1, 0, 0], torch.minimum(crops[:, 2, 0, 0], crops[:, 2, 0, -1])
    assert set(tops.tolist()) == set(range(SIDE - 8 + 1))
    assert set(lefts.tolist()) == set(range(SIDE - 8 + 1))
    flipped = (crops[:, 2, 0, 0] > crops[:, 2, 0, -1]).float().mean()
    assert 0.4 < flipped < 0.6


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    before, after = random_crops(), random_crops()
    after(0)
    assert torch.equal(before(5), after(5))
    assert not torch.equal(before(5), before(6))
    assert not torch.equal(before(5), random_crops(seed=1)(5))


def test_a_crop_may_be_the_whole_image() -> None:
    assert random_crops(crop=SIDE)(0).shape == (3, 3, SIDE, SIDE)


@pytest.mark.parametrize("turns", [False, True])
def test_processes_share_a_batch(turns: bool) -> None:
    draw = RandomCrops(load(images(7)), 7, 8, 6, seed=0, turns=turns)
    shares = [replace(draw, rank=rank, processes=3)(4) for rank in range(3)]
    assert torch.equal(torch.cat(shares), draw(4))


def test_crops_turn_to_every_side() -> None:
    """And are the same crops."""
    draw = RandomCrops(load(images(1)), 1, 8, 400, seed=0)
    plain, other = draw(0), replace(draw, turns=True)(0)
    quarters = [
        next(quarter for quarter in range(4) if torch.equal(crop.rot90(quarter, (1, 2)), changed))
        for crop, changed in zip(plain, other, strict=True)
    ]
    assert all(70 < quarters.count(quarter) < 130 for quarter in range(4))


def test_crops_turn_counter_clockwise() -> None:
    crops, quarters = random_crops(batch=8)(0), torch.arange(8) % 4
    expected = [crop.rot90(int(k), (1, 2)) for crop, k in zip(crops, quarters, strict=True)]
    assert torch.equal(rotate(crops, quarters), torch.stack(expected))


def half_flat() -> torch.Tensor:
    """An image whose left half is black, and its right half noise."""
    picture = torch.zeros(64, 64, 3, dtype=torch.uint8)
    random = torch.Generator().manual_seed(0)
    picture[:, 32:] = torch.randint(0, 256, (64, 32, 3), generator=random).byte()
    return picture


def test_flat_crops_are_rarer_among_candidates() -> None:
    def flat(candidates: int) -> float:
        draw = RandomCrops(load(half_flat()[None]), 1, 8, 500, 0, candidates=candidates)
        return 1 - draw(0).flatten(1).any(1).float().mean().item()

    # 25 of 57 positions lie within the left half.
    assert flat(1) == pytest.approx(25 / 57, abs=0.06)
    assert flat(2) == pytest.approx((25 / 57) ** 2, abs=0.05)
    assert flat(8) < 0.02


def test_candidates_are_of_one_image_and_shared_alike() -> None:
    def draw(rank: int, size: int) -> torch.Tensor:
        return RandomCrops(load(images(7)), 7, 8, 6, 0, rank, size, candidates=3)(4)

    whole = draw(0, 1)
    assert whole.shape == (6, 3, 8, 8)
    assert torch.equal(whole[:, 0, 0, 0], random_crops(batch=6)(4)[:, 0, 0, 0])
    assert torch.equal(torch.cat([draw(rank, 3) for rank in range(3)]), whole)


def test_alike_candidates_are_as_likely() -> None:
    draw = RandomCrops(load(images(1)), 1, 8, 16, 0, candidates=4)
    tops = torch.cat([draw(step) for step in range(40)])[:, 1, 0, 0]
    assert set(tops.tolist()) == set(range(SIDE - 8 + 1))


def test_detail_is_what_blurring_takes_away() -> None:
    flat = torch.full((3, 8, 8), 200, dtype=torch.uint8)
    stripes = flat.clone()
    stripes[:, :, ::2] = 100
    assert detail(torch.stack([flat, stripes])).tolist() == [0, 50]


def test_colours_are_exchanged_stretched_and_shifted() -> None:
    crop = torch.tensor([10, 100, 250], dtype=torch.uint8).view(1, 3, 1, 1)
    channels, gains = torch.tensor([[2, 0, 1]]), torch.tensor([[1.0, 2.0, 0.5]])
    result = recolour_levels(crop, channels, gains, torch.tensor([[-20.0, 0.0, 30.0]]))
    assert result.flatten().tolist() == [230, 0, 144]


def test_a_share_of_the_crops_gets_other_colours_and_the_rest_stays() -> None:
    pictures = torch.randint(0, 256, (7, SIDE, SIDE, 3), dtype=torch.uint8)
    draw = RandomCrops(load(pictures), 7, 8, 40, seed=0)
    plain, other = draw(0), replace(draw, recolour=0.25)(0)
    same = (plain == other).flatten(1).all(1).float().mean()
    assert 0.6 < same < 0.9
    assert (plain == replace(draw, recolour=1e-9)(0)).all()
    assert (plain != replace(draw, recolour=1.0)(0)).flatten(1).any(1).all()


def test_processes_share_a_batch_of_other_colours() -> None:
    draw = RandomCrops(load(images(7)), 7, 8, 6, seed=0, recolour=0.5)
    parts = [replace(draw, rank=rank, processes=3)(4) for rank in range(3)]
    assert torch.equal(torch.cat(parts), draw(4))
