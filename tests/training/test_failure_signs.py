"""Signs that a training fails."""

import pytest

from pipeline.training.failure_signs import below_baseline, winning_discriminator


def rows(*outputs: tuple[float, float]) -> list[dict[str, float]]:
    return [
        {"step": step, "train/d_hr": hr, "train/d_sr": sr} for step, (hr, sr) in enumerate(outputs)
    ]


@pytest.mark.parametrize(
    ("psnr_y", "text"),
    [
        (24.5, None),
        (24.4, "below bicubic interpolation, 24.5 dB"),
        (18.51, "below bicubic interpolation, 24.5 dB"),
        (
            18.5,
            "the generator has collapsed, far below bicubic interpolation, 24.5 dB: lower "
            "train.lr or train.adv_weight",
        ),
    ],
)
def test_a_generator_is_held_against_bicubic(psnr_y: float, text: str | None) -> None:
    assert below_baseline(psnr_y, 24.5, 4) == text


def test_a_generator_of_scale_1_is_held_against_its_input() -> None:
    assert below_baseline(24.0, 24.5, 1) == "below the input, 24.5 dB"


def test_a_discriminator_wins_that_tells_all_images_apart() -> None:
    text = winning_discriminator(rows(*[(0.96, 0.02)] * 5))
    assert text is not None
    assert text.startswith("the discriminator wins: D(hr) 0.96, D(sr) 0.02 in the mean since ")


@pytest.mark.parametrize(
    "outputs",
    [[(0.96, 0.02)] * 4, [(0.9, 0.02)] * 5, [(0.96, 0.1)] * 5, [(0.96, 0.02)] * 4 + [(0.3, 0.3)]],
)
def test_chance_or_a_closer_contest_is_no_win(outputs: list[tuple[float, float]]) -> None:
    assert winning_discriminator(rows(*outputs)) is None


def test_without_a_discriminator_none_wins() -> None:
    assert winning_discriminator([{"step": step, "train/loss": 0.5} for step in range(9)]) is None
