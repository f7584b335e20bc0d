"""The sliced Wasserstein distance: exact in simple cases, and larger for more blur."""

import pytest
import torch
from torch.nn import functional as F

from pipeline.evaluation.swd import PatchSets, _enlarge, laplacian_pyramid, level_sides


def pictures(count: int = 3, side: int = 64) -> torch.Tensor:
    """Smooth shapes with fine noise on them: (count, 3, side, side) in [0, 255]."""
    generator = torch.Generator().manual_seed(2)
    coarse = torch.rand(count, 3, 8, 8, generator=generator)
    smooth = F.interpolate(coarse, size=(side, side), mode="bicubic")
    noise = 0.1 * torch.randn(count, 3, side, side, generator=generator)
    return ((smooth + noise).clamp(0, 1) * 255).round()


def blurred(images: torch.Tensor, side: int) -> torch.Tensor:
    return F.avg_pool2d(images, side, 1, side // 2, count_include_pad=False)


def distances(seed: int = 0, **sets: torch.Tensor):
    gathered = PatchSets(len(sets["original"]), min(sets["original"].shape[-2:]), seed)
    for index in range(len(sets["original"])):
        gathered.add({name: images[index] for name, images in sets.items()})
    return gathered.distances("original")


def test_equal_sets_are_at_zero():
    images = pictures()
    distance = distances(original=images, same=images.clone())
    assert distance["same"].mean == 0
    assert distance["same"].levels == {64: 0, 32: 0, 16: 0}


def test_grows_with_blur():
    images = pictures()
    distance = distances(original=images, little=blurred(images, 3), much=blurred(images, 7))
    assert 0 < distance["little"].mean < distance["much"].mean
    assert distance["little"].levels[64] > distance["little"].levels[16]


def test_the_mean_is_over_levels():
    images = pictures()
    distance = distances(original=images, blur=blurred(images, 5))["blur"]
    assert distance.mean == pytest.approx(sum(distance.levels.values()) / 3)


def test_brightness_only_moves_the_last_level():
    images = pictures().clamp(max=200)
    distance = distances(original=images, brighter=images + 40)["brighter"]
    assert distance.levels[64] == pytest.approx(0, abs=1e-5)
    assert distance.levels[32] == pytest.approx(0, abs=1e-5)
    assert distance.levels[16] > 0.1


def test_a_distribution_not_a_pairing_is_compared():
    images = pictures(count=2)
    swapped = images.flip(0)
    distance = distances(original=images, swapped=swapped)["swapped"]
    # Few enough patches that every position is drawn: both sets have the same patches.
    assert distance.mean == pytest.approx(0, abs=1e-5)


@pytest.mark.slow
def test_the_seed_decides():
    images = pictures(count=2, side=128)
    blur = blurred(images, 5)
    first, again, other = (
        distances(seed, original=images, blur=blur)["blur"] for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other
    assert first.mean == pytest.approx(other.mean, rel=0.1)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (50, 37)])
def test_the_pyramid_reconstructs_the_images(height, width):
    images = pictures()[..., :height, :width]
    levels = laplacian_pyramid(images, len(level_sides(min(height, width))))
    reconstructed = levels[-1]
    for level in reversed(levels[:-1]):
        reconstructed = level + _enlarge(reconstructed, level)
    torch.testing.assert_close(reconstructed, images, atol=1e-3, rtol=0)


def test_the_pyramid_ends_at_sixteen_pixels():
    shapes = [tuple(level.shape[-2:]) for level in laplacian_pyramid(pictures(1, 128), 4)]
    assert shapes == [(128, 128), (64, 64), (32, 32), (16, 16)]


def test_images_of_different_sizes_have_the_levels_of_the_smallest() -> None:
    """Their finest levels are together, and the last one of each is a low-pass residual."""
    sizes = ((40, 90), (64, 64), (130, 50))
    gathered = PatchSets(len(sizes), 40, seed=0)
    for height, width in sizes:
        picture = pictures(1, 130)[0, :, :height, :width].clamp(max=200)
        gathered.add({"original": picture, "same": picture.clone(), "brighter": picture + 40})
    distance = gathered.distances("original")
    assert distance["same"].levels == {40: 0, 20: 0}
    assert distance["brighter"].levels[40] == pytest.approx(0, abs=1e-5)
    assert distance["brighter"].levels[20] > 0.1


@pytest.mark.parametrize("side", [16, 31, 32, 37, 190, 512])
def test_level_sides_are_those_of_the_pyramid(side: int) -> None:
    sides = level_sides(side)
    levels = laplacian_pyramid(torch.zeros(1, 3, side, side + 5), len(sides))
    assert [min(level.shape[-2:]) for level in levels] == sides
    assert 16 <= sides[-1] < 32


def test_flat_originals_have_a_finite_distance():
    flat = torch.full((2, 3, 64, 64), 90.0)
    for distance in distances(original=flat, sr=flat + 1, noise=pictures(2))["sr"].levels.values():
        assert distance < 255 * 12**0.5


def test_flat_images_have_only_a_last_level():
    flat = torch.full((1, 3, 64, 64), 90.0)
    fine, middle, last = laplacian_pyramid(flat, 3)
    assert fine.abs().max() < 1e-3
    assert middle.abs().max() < 1e-3
    torch.testing.assert_close(last, torch.full((1, 3, 16, 16), 90.0))
