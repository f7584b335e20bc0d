import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.images.resample import downscale, lanczos


def pillow(hr: torch.Tensor, scale: int) -> torch.Tensor:
    image = Image.fromarray(hr.permute(1, 2, 0).numpy())
    small = image.resize((image.width // scale, image.height // scale), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(small)).permute(2, 0, 1)


@pytest.mark.parametrize("scale", [2, 4, 8])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_is_within_one_level_of_pillow(scale: int, layout: torch.memory_format) -> None:
    noise = torch.randint(0, 256, (2, 3, 64, 96), generator=torch.Generator().manual_seed(0))
    smooth = torch.linspace(0, 255, 96).expand(2, 3, 64, 96)
    for hr in (noise.to(torch.uint8), smooth.to(torch.uint8)):
        lr = downscale(hr.contiguous(memory_format=layout), scale)
        assert lr.dtype == torch.uint8
        expected = torch.stack([pillow(image, scale) for image in hr])
        difference = (lr.int() - expected.int()).abs()
        assert difference.max() <= 1
        assert (difference > 0).float().mean() < 0.01


def test_rounds_to_the_nearest_level() -> None:
    """Means of 2 × 2 equal blocks; a cast would make 0.75 of a level vanish."""
    halves = torch.tensor([10, 11], dtype=torch.uint8).repeat_interleave(32)
    lr = downscale(halves.expand(1, 3, 64, 64), 4)
    assert lr[0, 0, 8].tolist()[:6] == [10] * 6
    assert lr[0, 0, 8].tolist()[-6:] == [11] * 6


@pytest.mark.parametrize("level", [0, 1, 127, 254, 255])
def test_flat_pictures_keep_their_level(level: int) -> None:
    hr = torch.full((1, 3, 32, 32), level, dtype=torch.uint8)
    assert (downscale(hr, 4) == level).all()


def test_overshoot_is_cut_at_white_and_black() -> None:
    """Bicubic rings at an edge: beyond 0 and 255 it must not wrap around."""
    edge = torch.tensor([0, 255], dtype=torch.uint8).repeat_interleave(32).expand(1, 3, 64, 64)
    lr = downscale(edge, 4)[0, 0, 8].int()
    assert (lr[:7] <= 12).all()
    assert (lr[-7:] >= 243).all()


def test_a_side_must_be_a_multiple_of_the_scale() -> None:
    with pytest.raises(ValueError, match="34×32 is no multiple of 4"):
        downscale(torch.zeros(1, 3, 32, 34, dtype=torch.uint8), 4)


@pytest.mark.parametrize("size", [(32, 24), (64, 7), (95, 63), (1, 1)])
def test_lanczos_is_within_one_level_of_pillow(size: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    for pixels in (noise, np.linspace(0, 255, 64 * 96 * 3).reshape(64, 96, 3).astype(np.uint8)):
        small = lanczos(pixels, *size)
        assert (small.dtype, small.shape) == (np.uint8, (size[1], size[0], 3))
        expected = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))
        assert np.abs(small.astype(int) - expected).max() <= 1
        assert (small != expected).mean() < 0.05


def test_lanczos_leaves_the_right_size_alone_and_takes_views() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    assert np.array_equal(lanczos(pixels, 96, 64), pixels)
    assert np.array_equal(
        lanczos(pixels[:, 10:74], 32, 32), lanczos(pixels[:, 10:74].copy(), 32, 32)
    )
