from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.images.sharpening import unsharp
from pipeline.params import TrainParams
from pipeline.training.crops import (
    LoadedImages,
    LoadImages,
    RandomCrops,
    detail,
    recolour_levels,
    rotate,
)
from pipeline.training.image_order import ImageOrder
from pipeline.training.pixel_buffer import PixelBuffer

SIDE = 20


def images(count: int) -> np.ndarray:
    """Red names the image, green and blue the row and column of each pixel."""
    pictures = np.zeros((count, SIDE, SIDE, 3), np.uint8)
    pictures[..., 0] = np.arange(count)[:, None, None]
    pictures[..., 1] = np.arange(SIDE)[:, None]
    pictures[..., 2] = np.arange(SIDE)
    return pictures


def load(pictures: Sequence[np.ndarray], lr: Sequence[np.ndarray] | None = None) -> LoadImages:
    hr_buffer = PixelBuffer.of(pictures)
    lr_buffer = None if lr is None else PixelBuffer.of(lr)
    return lambda numbers: LoadedImages(hr_buffer, lr_buffer, np.array(numbers))


def crops_of(pictures: np.ndarray, crop: int, batch: int, seed: int = 0) -> RandomCrops:
    order = ImageOrder((len(pictures),), (1.0,), seed)
    return RandomCrops(load(pictures), order, crop, batch, seed)


def random_crops(count: int = 7, batch: int = 3, seed: int = 0, crop: int = 8) -> RandomCrops:
    return crops_of(images(count), crop, batch, seed)


def test_a_batch_is_crops_of_the_images() -> None:
    batch = random_crops()(0).hr
    assert (batch.shape, batch.dtype) == ((3, 3, 8, 8), torch.uint8)
    for _, rows, columns in batch.int():
        assert (rows.diff(dim=0) == 1).all()
        assert (rows == rows[:, :1]).all()
        step = columns.diff(dim=1)
        assert (step == 1).all() or (step == -1).all()


def test_every_image_comes_once_in_each_epoch() -> None:
    draw = random_crops(count=7, batch=3)
    met = [int(number) for step in range(14) for number in draw(step).hr[:, 0, 0, 0]]
    passes = [met[start : start + 7] for start in range(0, 42, 7)]
    assert all(sorted(one) == list(range(7)) for one in passes)
    assert len({tuple(one) for one in passes}) > 1


def test_a_batch_may_be_larger_than_the_set() -> None:
    met = random_crops(count=2, batch=5)(0).hr[:, 0, 0, 0]
    assert sorted(met[:4].tolist()) == [0, 0, 1, 1]


def test_crops_reach_every_position_and_flip_half_of_the_time() -> None:
    draw = random_crops(count=1, batch=16)
    crops = torch.cat([draw(step).hr for step in range(40)]).int()
    tops, lefts = crops[:, 1, 0, 0], torch.minimum(crops[:, 2, 0, 0], crops[:, 2, 0, -1])
    assert set(tops.tolist()) == set(range(SIDE - 8 + 1))
    assert set(lefts.tolist()) == set(range(SIDE - 8 + 1))
    flipped = (crops[:, 2, 0, 0] > crops[:, 2, 0, -1]).float().mean()
    assert 0.4 < flipped < 0.6


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    before, after = random_crops(), random_crops()
    after(0)
    assert torch.equal(before(5).hr, after(5).hr)
    assert not torch.equal(before(5).hr, before(6).hr)
    assert not torch.equal(before(5).hr, random_crops(seed=1)(5).hr)


def test_a_crop_may_be_the_whole_image() -> None:
    assert random_crops(crop=SIDE)(0).hr.shape == (3, 3, SIDE, SIDE)


@pytest.mark.parametrize("turns", [False, True])
def test_processes_share_a_batch(turns: bool) -> None:
    draw = replace(crops_of(images(7), 8, 6), turns=turns)
    shares = [replace(draw, rank=rank, processes=3)(4).hr for rank in range(3)]
    assert torch.equal(torch.cat(shares), draw(4).hr)


def test_crops_turn_to_every_side() -> None:
    """And are the same crops."""
    draw = crops_of(images(1), 8, 400)
    plain, other = draw(0).hr, replace(draw, turns=True)(0).hr
    quarters = [
        next(quarter for quarter in range(4) if torch.equal(crop.rot90(quarter, (1, 2)), changed))
        for crop, changed in zip(plain, other, strict=True)
    ]
    assert all(70 < quarters.count(quarter) < 130 for quarter in range(4))


def test_crops_turn_counter_clockwise() -> None:
    crops, quarters = random_crops(batch=8)(0).hr, torch.arange(8) % 4
    expected = [crop.rot90(int(k), (1, 2)) for crop, k in zip(crops, quarters, strict=True)]
    assert torch.equal(rotate(crops, quarters), torch.stack(expected))


def half_flat() -> np.ndarray:
    """An image whose left half is black, and its right half noise."""
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[:, 32:] = np.random.default_rng(0).integers(0, 256, (64, 32, 3), np.uint8)
    return picture


def test_flat_crops_are_rarer_among_candidates() -> None:
    def flat(candidates: int) -> float:
        draw = replace(crops_of(half_flat()[None], 8, 500), candidates=candidates)
        return 1 - draw(0).hr.flatten(1).any(1).float().mean().item()

    # 25 of 57 positions lie within the left half.
    assert flat(1) == pytest.approx(25 / 57, abs=0.06)
    assert flat(2) == pytest.approx((25 / 57) ** 2, abs=0.05)
    assert flat(8) < 0.02


def test_candidates_are_of_one_image_and_shared_alike() -> None:
    def draw(rank: int, size: int) -> torch.Tensor:
        crops = crops_of(images(7), 8, 6)
        return replace(crops, rank=rank, processes=size, candidates=3)(4).hr

    whole = draw(0, 1)
    assert whole.shape == (6, 3, 8, 8)
    assert torch.equal(whole[:, 0, 0, 0], random_crops(batch=6)(4).hr[:, 0, 0, 0])
    assert torch.equal(torch.cat([draw(rank, 3) for rank in range(3)]), whole)


def test_alike_candidates_are_as_likely() -> None:
    draw = replace(crops_of(images(1), 8, 16), candidates=4)
    tops = torch.cat([draw(step).hr for step in range(40)])[:, 1, 0, 0]
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
    pictures = np.random.default_rng(0).integers(0, 256, (7, SIDE, SIDE, 3), np.uint8)
    draw = crops_of(pictures, 8, 40)
    plain, other = draw(0).hr, replace(draw, recolour=0.25)(0).hr
    same = (plain == other).flatten(1).all(1).float().mean()
    assert 0.6 < same < 0.9
    assert (plain == replace(draw, recolour=1e-9)(0).hr).all()
    assert (plain != replace(draw, recolour=1.0)(0).hr).flatten(1).any(1).all()


def test_processes_share_a_batch_of_other_colours() -> None:
    draw = replace(crops_of(images(7), 8, 6), recolour=0.5)
    parts = [replace(draw, rank=rank, processes=3)(4).hr for rank in range(3)]
    assert torch.equal(torch.cat(parts), draw(4).hr)


def test_hr_alone_is_sharpened() -> None:
    """LR that is given stays; a step makes the other LR of the sharpened crops."""
    random = np.random.default_rng(0)
    lr = [random.integers(0, 256, (8, 8, 3), np.uint8)]
    hr = [lr[0].repeat(4, 0).repeat(4, 1)]
    draw = RandomCrops(load(hr, lr), ImageOrder((1,), (1.0,), 0), 16, 4, 0)
    plain, sharpened = draw(0), replace(draw, sharpen=0.5)(0)
    assert torch.equal(sharpened.hr, unsharp(plain.hr, 0.5))
    assert not torch.equal(sharpened.hr, plain.hr)
    assert plain.lr is not None
    assert sharpened.lr is not None
    assert torch.equal(sharpened.lr, plain.lr)
    params = TrainParams(sharpen=0.25)
    assert RandomCrops.from_params(params, draw.load, draw.order).sharpen == 0.25


def matching_lr(hr: np.ndarray, scale: int) -> np.ndarray:
    """LR whose pixels are each block's upper left pixel of `images`: they tell the position."""
    return hr[::scale, ::scale]


@pytest.mark.parametrize("scale", [1, 3, 4])
@pytest.mark.parametrize("changes", [{}, {"candidates": 3}, {"turns": True}, {"recolour": 1.0}])
def test_lr_crops_are_of_the_same_place_and_changed_alike(
    changes: dict[str, Any], scale: int
) -> None:
    random = np.random.default_rng(0)
    lr = [
        random.integers(0, 256, (height, width, 3), np.uint8) for height, width in ((5, 9), (7, 4))
    ]
    hr = [image.repeat(scale, 0).repeat(scale, 1) for image in lr]
    draw = RandomCrops(
        load(hr, lr), ImageOrder((2,), (1.0,), 0), 3 * scale, 16, 0, scale=scale, **changes
    )
    for step in range(3):
        batch = draw(step)
        assert batch.lr is not None
        assert batch.has_lr == (True,) * 16
        for corner in (0, scale - 1):
            assert torch.equal(batch.hr[:, :, corner::scale, corner::scale], batch.lr)


def test_only_images_without_lr_are_cut_off_its_grid() -> None:
    """One image has an LR image, the other none, as in two folders."""
    hr = images(2)
    lr = [np.empty((0, 0, 3), np.uint8), matching_lr(hr[1], 4)]
    draw = RandomCrops(load(hr, lr), ImageOrder((1, 1), (1.0, 1.0), 0), 8, 40, 0)
    batch = draw(0)
    owners = batch.hr[:, 0, 0, 0].tolist()
    assert batch.lr is not None
    assert batch.has_lr == tuple(owner == 1 for owner in owners)
    assert sorted(owners) == [0] * 20 + [1] * 20
    given = torch.tensor(batch.has_lr)
    tops = batch.hr[:, 1, 0, 0]
    assert set(tops[given].tolist()) == {0, 4, 8, 12}
    assert {top % 4 for top in tops[~given].tolist()} == {0, 1, 2, 3}
    assert torch.equal(batch.lr[given][:, 1], batch.hr[given][:, 1, ::4, ::4])


def test_images_of_several_sizes_are_reached_in_full() -> None:
    hr = [images(1)[0, :9, :20], images(1)[0, :20, :8]]
    draw = RandomCrops(load(hr), ImageOrder((2,), (1.0,), 0), 8, 200, 0)
    crops = draw(0).hr
    lefts = torch.minimum(crops[:, 2, 0, 0], crops[:, 2, 0, -1])
    met = set(zip(crops[:, 1, 0, 0].tolist(), lefts.tolist(), strict=True))
    assert met >= {(0, 0), (1, 12), (12, 0)}
    assert max(top for top, _ in met) == 12
    assert {left for top, left in met if top > 1} == {0}
