"""Warnings about the results."""

import pytest

from pipeline.evaluation.notices import result_notices

BICUBIC = {"psnr_y": 25.0, "rmse_y": 14.0, "lpips": 0.4, "swd": 0.2}


def titles(**model: float) -> list[str]:
    notices = result_notices({"bicubic": BICUBIC, "model": BICUBIC | model}, 4)
    assert all(notice.grave for notice in notices)
    return [notice.title for notice in notices]


def test_twice_the_error_of_bicubic_is_a_collapse():
    assert titles(rmse_y=28.1, psnr_y=18.9) == ["The model has collapsed."]
    assert titles(rmse_y=27.9, psnr_y=19.0) == []


def test_worse_in_distortion_and_in_all_of_perception_is_worse():
    worse = ["The model is worse than bicubic interpolation."]
    assert titles(psnr_y=24.9, lpips=0.41, swd=0.21) == worse


@pytest.mark.parametrize("better", [{"psnr_y": 25.1}, {"lpips": 0.39}, {"swd": 0.19}])
def test_a_trade_is_no_alarm(better):
    assert titles(**{"psnr_y": 24.9, "lpips": 0.41, "swd": 0.21, **better}) == []


def test_equal_results_are_no_alarm():
    assert titles() == []
    perfect = {"psnr_y": 100.0, "rmse_y": 0.0, "swd": 0.0}
    assert result_notices({"bicubic": perfect, "model": perfect}, 4) == []
