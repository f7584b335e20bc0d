"""LR images as the web has them: drawn by the seed alone, and damaged about as much as meant."""

from typing import Literal

import pytest
import torch
from torch.nn import functional as F

from pipeline.errors import UsageError
from pipeline.images.degradation import degradation_of, make_lr
from pipeline.images.degradation_presets import PRESETS
from pipeline.images.resample import downscale
from pipeline.metrics import psnr

WEB_MEANS = {4: 130.582899, 6: 122.322483, 8: 123.078993, 11: 134.787326, 16: 136.03125}
"""Mean level by the number of the image, of those for which no JPEG is drawn."""


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


@pytest.mark.parametrize("kind", ["light", "web", "heavy"])
def test_what_befalls_an_image_hangs_on_its_seed_alone(
    kind: Literal["light", "web", "heavy"], hr: torch.Tensor
) -> None:
    whole = make_lr(hr, 4, kind, seeds(40))
    assert whole.shape == (40, 3, 24, 32)
    assert whole.dtype == torch.uint8
    assert torch.equal(make_lr(hr[30:], 4, kind, seeds(10, 30)), whole[30:])
    assert not torch.equal(make_lr(hr[30:], 4, kind, seeds(10, 0)), whole[30:])
    if kind != "web":
        assert torch.equal(make_lr(hr, 4, PRESETS[kind], seeds(40)), whole)


def test_light_damages_less_than_web_and_heavy_more(hr: torch.Tensor) -> None:
    clean = downscale(hr, 4).float()
    light, web, heavy = (
        psnr(make_lr(hr, 4, kind, seeds(40)).float(), clean, 0).sort().values[4]
        for kind in ("light", "web", "heavy")
    )
    assert light > web + 2
    assert web > heavy + 6


def test_shipped_models_and_reports_keep_their_web(hr: torch.Tensor) -> None:
    """Levels of `web` as it was when the shipped model was trained, where no JPEG is drawn."""
    mean = make_lr(hr, 4, "web", seeds(40)).double().mean((1, 2, 3))
    found = [round(mean[index].item(), 6) for index in WEB_MEANS]
    assert found == list(WEB_MEANS.values())


def test_strengths_replace_those_of_the_preset(hr: torch.Tensor) -> None:
    nothing = {"resize_mode_prob": (0, 0, 0, 1, 0), "final_sinc_prob": 0}
    for suffix in ("", "2"):
        nothing |= {f"{name}{suffix}": 0 for name in ("blur_prob", "noise_prob")}
        nothing |= {f"resize_prob{suffix}": (0, 0, 1), f"compression_prob{suffix}": (1, 0, 0, 0)}
    made = make_lr(hr, 4, degradation_of("heavy", nothing), seeds(40))
    assert (made.int() - downscale(hr, 4).int()).abs().max() <= 1


def test_avif_that_pillow_does_not_write_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("PIL.features.check", lambda name: False)
    with pytest.raises(UsageError, match=r"^degradation heavy: this Pillow writes no AVIF; "):
        degradation_of("heavy")
    without = {"compression_prob2": (0, 1, 0, 0)}
    assert degradation_of("heavy", without) == PRESETS["heavy"].replaced(without)


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


def test_a_picture_that_is_longer_than_a_jpeg_can_be() -> None:
    hr = torch.full((1, 3, 1, 65_600), 90, dtype=torch.uint8)
    assert make_lr(hr, 1, "web", [(9, 0)]).shape == hr.shape
