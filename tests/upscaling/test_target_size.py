"""Sizes of results."""

import pytest

from pipeline.errors import PipelineError
from pipeline.upscaling.target_size import TargetSize


@pytest.mark.parametrize(
    ("target", "suffix", "size"),
    [
        (TargetSize(4), "_x4", (400, 200)),
        (TargetSize(2.5), "_x2.5", (250, 125)),
        (TargetSize(0.333), "_x0.333", (33, 17)),
        (TargetSize(4, width=1001), "_w1001", (1001, 500)),
        (TargetSize(4, height=501), "_h501", (1002, 501)),
        (TargetSize(4, width=150, height=150), "_w150_h150", (150, 75)),
        (TargetSize(4, width=900, height=151), "_w900_h151", (302, 151)),
        (TargetSize(4, width=200, height=100), "_w200_h100", (200, 100)),
        (TargetSize(4, width=1), "_w1", (1, 1)),
    ],
)
def test_sizes_are_exact(target: TargetSize, suffix: str, size: tuple[int, int]) -> None:
    assert (target.name_suffix, target.of(100, 50)) == (suffix, size)


def test_a_named_side_is_never_rounded_away() -> None:
    for side in range(1, 400):
        assert TargetSize(4, width=199).of(side, 7)[0] == 199 if side * 16 >= 199 else True
        assert TargetSize(4, height=199).of(7, side)[1] == 199 if side * 16 >= 199 else True


def test_more_than_sixteen_times_is_too_much() -> None:
    assert TargetSize(4, width=160).of(10, 10) == (160, 160)
    with pytest.raises(PipelineError, match=r"from 10×10 that size is 16\.1 times as large; 16 is"):
        TargetSize(4, width=161).of(10, 10)
