"""LR images as the web has them: drawn by the seed alone, and damaged about as much as meant."""

import pytest
import torch
from torch.nn import functional as F

from pipeline.images.degradation import make_lr
from pipeline.images.resample import downscale
from pipeline.metrics import psnr


@pytest.fixture(scope="module")
def hr() -> torch.Tensor:
    generator = torch.Generator().manual_seed(4)
    coarse = torch.rand(40, 3, 4, 5, generator=generator)
    smooth = F.interpolate(coarse, size=(96, 128), mode="bicubic").clamp(0, 1)
    return (smooth * 255).round().byte()


def seeds(count: int, first: int = 0) -> list[tuple[int, int]]:
    return [(9, first + index) for index in range(count)]


def test_none_is_bicubic(hr: torch.Tensor) -> None:
    assert torch.equal(make_lr(hr, 4, "none", []), downscale(hr, 4))


def test_what_befalls_an_image_hangs_on_its_seed_alone(hr: torch.Tensor) -> None:
    whole = make_lr(hr, 4, "web", seeds(40))
    assert whole.shape == (40, 3, 24, 32)
    assert whole.dtype == torch.uint8
    assert torch.equal(make_lr(hr[30:], 4, "web", seeds(10, 30)), whole[30:])
    assert not torch.equal(make_lr(hr[30:], 4, "web", seeds(10, 0)), whole[30:])


def test_the_damage_is_seen_and_not_the_picture_lost(hr: torch.Tensor) -> None:
    damaged = make_lr(hr, 4, "web", seeds(40)).float()
    found = psnr(damaged, downscale(hr, 4).float(), 0).sort().values
    assert 24 < found[0] < 30
    assert 31 < found[20] < 37
    assert found[-3] > 45


def test_blocks_begin_in_the_corner_of_whole_pictures_and_anywhere_in_what_was_cut_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = {
        "JPEG_PROBABILITY": 1,
        "BLUR_PROBABILITY": 0,
        "NOISE_PROBABILITY": 0,
        "QUALITY_RANGE": (5, 5),
    }
    for name, value in settings.items():
        monkeypatch.setattr(f"pipeline.images.degradation.{name}", value)
    generator = torch.Generator().manual_seed(4)
    ramp = torch.linspace(0, 255, 512).expand(40, 3, 512, 512)
    noise = 20 * torch.randn(40, 3, 512, 512, generator=generator)
    rough = (ramp + noise).round().clamp(0, 255).byte()

    def phases(*, cut_out: bool) -> set[int]:
        """Where, of eight columns, steps between neighbours are largest in mean."""
        found = make_lr(rough, 4, "web", seeds(40), cut_out=cut_out).float()
        steps = found.diff(dim=3).abs().mean((1, 2))[:, : 8 * 15].view(-1, 15, 8).mean(1)
        return set((steps.argmax(1) + 1).remainder(8).tolist())

    assert phases(cut_out=False) == {0}
    assert phases(cut_out=True) == set(range(8))


def test_flat_colours_stay_about_what_they_are() -> None:
    flat = torch.tensor([200, 90, 30], dtype=torch.uint8).view(1, 3, 1, 1).expand(60, 3, 64, 64)
    means = make_lr(flat, 2, "web", seeds(60)).float().mean((2, 3))
    assert (means - flat[:, :, 0, 0].float()).abs().max() < 4


def test_a_side_that_is_no_multiple_is_refused() -> None:
    with pytest.raises(ValueError, match="50×48 is no multiple of 4"):
        make_lr(torch.zeros(1, 3, 48, 50, dtype=torch.uint8), 4, "web", seeds(1))
