"""The chain as it is drawn: of what, in which order, with strengths within their ranges."""

from typing import Any

import numpy as np
import pytest

from pipeline.images.degradation_chain import draw_steps
from pipeline.images.degradation_presets import PRESETS, UNCHANGED
from pipeline.images.degradation_steps import Blur, Compress, Noise, Resize, Sharpen, Step
from pipeline.params.degradation import ChainStrengths

NOTHING = UNCHANGED
JPEG = (0, 1, 0, 0)


def draws(
    chain: ChainStrengths, count: int = 100, hr: tuple[int, int] = (960, 640), cut_out: bool = False
) -> list[list[Step]]:
    return [draw_steps(chain, hr, 4, np.random.default_rng(seed), cut_out) for seed in range(count)]


def of_kind(kind: type[Any], chain: ChainStrengths) -> list[Any]:
    return [step for steps in draws(chain) for step in steps if isinstance(step, kind)]


def test_without_damage_only_the_size_changes() -> None:
    for steps in draws(NOTHING):
        (step,) = steps
        assert isinstance(step, Resize)
        assert (step.height, step.width) == (240, 160)
        assert step.filter != "nearest"


@pytest.mark.parametrize("preset", PRESETS)
def test_the_last_size_is_that_of_lr(preset: str) -> None:
    for steps in draws(PRESETS[preset]):
        sizes = [(step.height, step.width) for step in steps if isinstance(step, Resize)]
        assert sizes[-1] == (240, 160)


def test_the_same_seed_draws_the_same() -> None:
    first, second = (draws(PRESETS["heavy"], 20) for _ in range(2))
    assert first == second
    assert len({str(steps) for steps in first}) == 20


def test_both_orders_come_one_after_the_other() -> None:
    chain = NOTHING.replaced(
        {
            **dict.fromkeys(("blur_prob", "blur_prob2", "noise_prob", "noise_prob2"), 1),
            **dict.fromkeys(("compression_prob", "compression_prob2"), JPEG),
            **dict.fromkeys(("resize_prob", "resize_prob2"), (0, 1, 0)),
            "sharpen_prob": 1,
            "final_sinc_prob": 1,
        }
    )
    first = [Blur, Resize, Sharpen, Noise, Compress, Blur, Resize, Noise]
    endings = {tuple(type(step) for step in steps[8:]) for steps in draws(chain)}
    assert all([type(step) for step in steps[:8]] == first for steps in draws(chain))
    assert endings == {(Resize, Blur, Compress), (Compress, Resize, Blur)}


def test_qualities_and_codecs_are_within_what_is_asked_for() -> None:
    chain = NOTHING.replaced({"compression_prob": (0, 1, 1, 1), "jpeg_range": (30, 33)})
    chain = chain.replaced({"webp_range": (50, 50), "avif_range": (60, 61)})
    found: dict[str, set[int]] = {}
    for step in of_kind(Compress, chain):
        found.setdefault(step.codec, set()).add(step.quality)
    assert found == {"jpeg": {30, 31, 32, 33}, "webp": {50}, "avif": {60, 61}}
    chain = NOTHING.replaced({"compression_prob2": JPEG, "jpeg_range2": (80, 80)})
    assert {step.quality for step in of_kind(Compress, chain)} == {80}


def test_blocks_begin_anywhere_in_crops_alone() -> None:
    chain = NOTHING.replaced({"compression_prob": JPEG})
    corners = {(step.left, step.top) for step in of_kind(Compress, chain)}
    assert corners == {(0, 0)}
    steps = [steps[0] for steps in draws(chain, 400, cut_out=True)]
    assert {step.left for step in steps if isinstance(step, Compress)} == set(range(16))


@pytest.mark.parametrize("suffix", ["", "2"])
def test_noise_is_within_its_range_and_shares(suffix: str) -> None:
    strengths = {"noise_prob": 1, "noise_range": (3, 5), "poisson_scale_range": (0.1, 0.2)}
    strengths |= {"gaussian_noise_prob": 0.75, "gray_noise_prob": 0.25}
    chain = NOTHING.replaced({f"{name}{suffix}": value for name, value in strengths.items()})
    steps = of_kind(Noise, chain)
    assert len(steps) == 100
    gaussian = [step for step in steps if step.kind == "gaussian"]
    assert 60 < len(gaussian) < 90
    assert 12 < sum(step.grey for step in steps) < 40
    for step in steps:
        low, high = (3, 5) if step.kind == "gaussian" else (0.1, 0.2)
        assert low <= step.strength <= high


def test_resampling_is_of_hr_and_then_of_lr() -> None:
    chain = NOTHING.replaced({"resize_prob": (1, 0, 0), "resize_range": (0.5, 1.5)})
    up = [step.height for step in of_kind(Resize, chain) if step.height != 240]
    assert len(up) > 90
    assert 960 < min(up) < 1000 < 1400 < max(up) <= 1440
    chain = NOTHING.replaced({"resize_prob2": (0, 1, 0), "resize_range2": (0.5, 1.5)})
    down = [step.height for step in of_kind(Resize, chain) if step.height != 240]
    assert len(down) > 90
    assert 120 <= min(down) < 130 < 230 < max(down) < 240
    chain = NOTHING.replaced({"resize_mode_prob": (1, 0, 0, 0, 0)})
    assert {step.filter for step in of_kind(Resize, chain)} == {"nearest"}


@pytest.mark.parametrize(
    ("weights", "label"),
    [
        ((1, 0, 0, 0, 0, 0), "blur 2.0"),
        ((0, 1, 0, 0, 0, 0), "blur 2.0/2.0"),
        ((0, 0, 1, 0, 0, 0), "generalized blur 2.0"),
        ((0, 0, 0, 1, 0, 0), "generalized blur 2.0/2.0"),
        ((0, 0, 0, 0, 1, 0), "plateau blur 2.0"),
        ((0, 0, 0, 0, 0, 1), "plateau blur 2.0/2.0"),
    ],
)
def test_kernels_are_of_the_kind_that_has_all_weight(weights: tuple[int, ...], label: str) -> None:
    chain = NOTHING.replaced({"blur_prob": 1, "sinc_prob": 0, "kernel_prob": weights})
    blurs = of_kind(Blur, chain.replaced({"blur_sigma": (2, 2), "kernel_range": (9, 11)}))
    assert {step.label for step in blurs} == {label}
    assert {len(step.kernel) for step in blurs} == {9, 11}


def test_sinc_filters_cut_off_within_their_range() -> None:
    chain = NOTHING.replaced({"blur_prob": 1, "sinc_prob": 1, "kernel_range": (7, 7)})
    cutoffs = [float(step.label.split()[1][:-1]) for step in of_kind(Blur, chain)]
    assert 0.33 <= min(cutoffs) < 0.4
    assert 0.93 < max(cutoffs) <= 1


def test_a_side_that_is_no_multiple_is_refused() -> None:
    with pytest.raises(ValueError, match="50×48 is no multiple of 4"):
        draws(NOTHING, 1, (48, 50))
