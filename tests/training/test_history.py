"""The pictures and figures that a training keeps."""

import math
from pathlib import Path

import pytest
import torch

from pipeline.networks.tensor_files import load_archive
from pipeline.training.history import MAX_STRIPS, History


def test_first_and_newest_strip_stay_when_others_are_dropped() -> None:
    history = History()
    for number in range(3 * MAX_STRIPS):
        history.add_samples(torch.full((3, 1, 1), number, dtype=torch.uint8))
        kept = [int(strip[0, 0, 0]) for strip in history.samples]
        assert (kept[0], kept[-1]) == (0, number)
        assert len(kept) <= MAX_STRIPS
        assert kept == sorted(kept)


ROWS = [
    {"step": 1, "train/loss": 0.1 + 0.2},
    {"step": 1, "val/psnr_y": math.inf, "train/loss": -0.0},
    {"step": 999_999_999, "val/ssim_y": 5e-324, "train/loss": 1e308},
]


@pytest.mark.parametrize("rows", [[], ROWS[:1], ROWS, [{"step": 3}]])
def test_a_curve_comes_back_to_the_bit(rows: list[dict[str, float]]) -> None:
    history, again = History(curve=rows), History()
    again.load_state_dict(history.state_dict())
    assert again.curve == rows
    assert [type(row["step"]) for row in again.curve] == [int] * len(rows)
    assert repr(again.curve).count("-0.0") == repr(rows).count("-0.0")


def test_the_last_interval_is_before_the_validation_that_ends_the_curve() -> None:
    validation = {"step": 2, "val/psnr_y": 20.0}
    losses = [{"step": step, "train/loss": 0.5} for step in (1, 2, 3, 4)]
    assert History().last_interval() == []
    assert History(curve=losses).last_interval() == losses
    assert History(curve=[*losses[:2], validation]).last_interval() == losses[:2]
    curve = [*losses[:2], validation, *losses[2:]]
    assert History(curve=curve).last_interval() == losses[2:]
    assert History(curve=[*curve, validation]).last_interval() == losses[2:]


def test_the_checkpoint_of_a_long_training_can_be_read(tmp_path: Path) -> None:
    """As plain values, rows of so many figures took more than a checkpoint may hold."""
    figures = {f"train/figure_{number}": number / 7 for number in range(15)}
    history = History(curve=[{"step": step, **figures} for step in range(60_000)])
    torch.save({"state": history.state_dict()}, tmp_path / "long.pt")
    saved = load_archive(tmp_path / "long.pt")
    assert isinstance(saved, dict)
    again = History()
    again.load_state_dict(saved["state"])
    assert again.curve == history.curve
