"""The metrics against scikit-image and against figures worked out by hand."""

import math

import numpy as np
import pytest
import torch
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from pipeline.metrics import PSNR_CEILING, luma, psnr, psnr_of_luma, ssim, ssim_of_luma
from pipeline.networks.generators.base import quantise

BORDER = 4


@pytest.fixture(scope="module")
def pairs() -> tuple[torch.Tensor, torch.Tensor]:
    """Smooth pictures and noisier copies, the noise growing: two of (3, 3, 48, 64)."""
    generator = torch.Generator().manual_seed(7)
    coarse = torch.rand(3, 3, 6, 8, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=(48, 64), mode="bicubic")
    noise = torch.randn(3, 3, 48, 64, generator=generator)
    strength = torch.tensor([0.01, 0.05, 0.3]).view(3, 1, 1, 1)
    return quantise(smooth), quantise(smooth + strength * noise)


def _arrays(images: torch.Tensor) -> list[np.ndarray]:
    cropped = images[..., BORDER:-BORDER, BORDER:-BORDER].permute(0, 2, 3, 1)
    return list(cropped.double().numpy())


def _skimage_ssim(a: np.ndarray, b: np.ndarray) -> float:
    return structural_similarity(
        a,
        b,
        data_range=255,
        channel_axis=-1,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )


@pytest.mark.parametrize("of", [lambda rgb: rgb, luma], ids=["rgb", "y"])
def test_psnr_agrees_with_scikit_image(pairs, of):
    a, b = (of(images) for images in pairs)
    expected = [
        peak_signal_noise_ratio(x, y, data_range=255)
        for x, y in zip(_arrays(a), _arrays(b), strict=True)
    ]
    assert psnr(a, b, BORDER).tolist() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("of", [lambda rgb: rgb, luma], ids=["rgb", "y"])
def test_ssim_agrees_with_scikit_image(pairs, of):
    a, b = (of(images) for images in pairs)
    expected = [_skimage_ssim(x, y) for x, y in zip(_arrays(a), _arrays(b), strict=True)]
    assert ssim(a, b, BORDER).tolist() == pytest.approx(expected, abs=1e-4)


def test_luma_agrees_with_scikit_image(pairs):
    rgb = pairs[1]
    pixels = rgb.permute(0, 2, 3, 1).numpy().astype(np.uint8)
    expected = rgb2ycbcr(pixels)[..., 0]
    assert luma(rgb).shape == (3, 1, 48, 64)
    np.testing.assert_allclose(luma(rgb)[:, 0].numpy(), expected, atol=1e-4)


def test_luma_spans_studio_swing():
    flat = torch.tensor([0.0, 255.0]).view(2, 1, 1, 1).expand(2, 3, 1, 1)
    assert luma(flat).flatten().tolist() == pytest.approx([16.0, 235.0], abs=1e-4)


def test_psnr_of_one_level_everywhere():
    a = torch.full((1, 3, 16, 16), 100.0)
    assert psnr(a, a + 1, 0).item() == pytest.approx(20 * math.log10(255), abs=1e-4)


def test_equal_images_are_perfect(pairs):
    a = pairs[0]
    assert psnr(a, a, BORDER).tolist() == [math.inf] * 3
    assert ssim(a, a, BORDER).tolist() == pytest.approx([1.0] * 3, abs=1e-6)


def test_flat_images_are_at_most_equal():
    """In fp32 the variance of 220 is rounded below zero: SSIM was 1.0002."""
    flat = torch.full((1, 1, 16, 16), 220.0)
    assert ssim(flat, flat + 1, 0) <= 1


def test_the_border_is_left_out():
    a = torch.full((1, 1, 24, 24), 50.0)
    b = a.clone()
    b[..., :BORDER, :] = 255
    b[..., :, -BORDER:] = 0
    assert psnr(a, b, BORDER).item() == math.inf
    assert psnr(a, b, BORDER - 1).item() < 40


def test_each_pair_is_measured_by_itself(pairs):
    a, b = pairs
    for measure in (psnr, ssim):
        alone = [measure(a[i : i + 1], b[i : i + 1], BORDER).item() for i in range(3)]
        assert measure(a, b, BORDER).tolist() == pytest.approx(alone, abs=1e-5)


@pytest.mark.parametrize(("measure", "least"), [(psnr, 9), (ssim, 19)])
def test_images_smaller_than_the_border_are_refused(measure, least):
    small = torch.zeros(1, 1, least - 1, 32)
    with pytest.raises(ValueError, match="inside a border of 4"):
        measure(small, small, BORDER)
    enough = torch.zeros(1, 1, least, 32)
    assert measure(enough, enough, BORDER).shape == (1,)


def test_shapes_must_be_equal():
    with pytest.raises(ValueError, match="one shape"):
        psnr(torch.zeros(1, 3, 32, 32), torch.zeros(1, 1, 32, 32), 0)


@pytest.mark.parametrize(("height", "width"), [(40, 60), (1030, 1100), (1100, 1030)])
def test_large_pictures_are_measured_as_whole_ones(height: int, width: int) -> None:
    """In strips of which the last is a few rows."""
    generator = torch.Generator().manual_seed(0)
    a = torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=generator)
    b = (a.int() + torch.arange(height)[:, None] // 8 % 60).clamp(max=255).to(torch.uint8)
    pair = luma(a[None].float()), luma(b[None].float())
    assert psnr_of_luma(a, b, BORDER) == pytest.approx(psnr(*pair, BORDER).item(), abs=1e-4)
    assert ssim_of_luma(a, b, BORDER) == pytest.approx(ssim(*pair, BORDER).item(), abs=1e-6)
    assert psnr_of_luma(a, a, BORDER) == PSNR_CEILING
    assert ssim_of_luma(a, a, BORDER) == 1
