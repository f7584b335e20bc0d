"""Intervals and paired tests against values computed otherwise, and their edge cases."""

import numpy as np
import pytest
from scipy import stats

from pipeline.evaluation.significance import mean_intervals, paired_tests


def images(**methods: list[float]) -> list[dict[str, dict[str, float]]]:
    count = len(next(iter(methods.values())))
    return [
        {name: {"psnr_y": values[at]} for name, values in methods.items()} for at in range(count)
    ]


def noisy(seed: int, count: int = 50, mean: float = 25.0) -> list[float]:
    return (mean + 3 * np.random.default_rng(seed).standard_normal(count)).tolist()


def test_an_interval_is_about_two_standard_errors_each_way():
    values = noisy(0)
    interval = mean_intervals(images(a=values), 0)["a"]["psnr_y"]
    error = np.std(values) / 50**0.5
    assert interval.mean == pytest.approx(np.mean(values))
    assert interval.mean - interval.low == pytest.approx(1.96 * error, rel=0.15)
    assert interval.high - interval.mean == pytest.approx(1.96 * error, rel=0.15)


def test_nineteen_of_twenty_intervals_contain_the_true_mean():
    held = [
        interval.low <= 25.0 <= interval.high
        for interval in (
            mean_intervals(images(a=noisy(at)), at)["a"]["psnr_y"] for at in range(200)
        )
    ]
    assert 0.88 <= sum(held) / 200 <= 0.98


def test_the_seed_alone_decides():
    values = images(a=noisy(0))
    assert mean_intervals(values, 1) == mean_intervals(values, 1)
    assert mean_intervals(values, 1) != mean_intervals(values, 2)


def test_pairing_removes_the_noise_that_both_share():
    shared = noisy(0)
    (test,) = paired_tests(images(a=shared, b=[value + 0.1 for value in shared]), 0)
    assert (test.metric, test.method, test.other) == ("psnr_y", "b", "a")
    assert test.mean_difference.mean == pytest.approx(0.1)
    assert test.mean_difference.low == pytest.approx(0.1)
    assert test.p < 1e-6


def test_the_test_is_wilcoxons():
    a, b = noisy(1), noisy(2)
    (test,) = paired_tests(images(a=a, b=b), 0)
    assert test.p == pytest.approx(stats.wilcoxon(np.array(b) - np.array(a)).pvalue)
    assert test.p > 0.05
    assert test.mean_difference.low < 0 < test.mean_difference.high


def test_holms_correction_is_of_each_metrics_pairs() -> None:
    scores = [
        {name: {"psnr_y": value, "ssim_y": value} for name, value in zip("abc", row, strict=True)}
        for row in zip(noisy(0), noisy(1, mean=26.0), noisy(2, mean=29.0), strict=True)
    ]
    tests = [test for test in paired_tests(scores, 0) if test.metric == "psnr_y"]
    first, second, third = sorted(tests, key=lambda test: test.p)
    assert first.p_holm == pytest.approx(3 * first.p)
    assert second.p_holm == pytest.approx(max(2 * second.p, first.p_holm))
    assert third.p_holm == pytest.approx(min(max(third.p, second.p_holm), 1.0))


def test_equal_methods_and_single_images_have_no_p_below_one():
    (equal,) = paired_tests(images(a=[1.0, 2.0], b=[1.0, 2.0]), 0)
    assert (equal.p, equal.mean_difference.low, equal.mean_difference.high) == (1.0, 0.0, 0.0)
    (single,) = paired_tests(images(a=[1.0], b=[3.0]), 0)
    assert (single.mean_difference.low, single.mean_difference.high, single.p) == (2.0, 2.0, 1.0)


def test_a_reversed_test_is_of_the_other_method():
    (test,) = paired_tests(images(a=noisy(1), b=noisy(2)), 0)
    (expected,) = paired_tests(images(b=noisy(2), a=noisy(1)), 0)
    turned = test.reversed()
    assert (turned.method, turned.other, turned.metric) == ("a", "b", "psnr_y")
    assert turned.mean_difference.mean == pytest.approx(expected.mean_difference.mean)
    assert turned.mean_difference.low <= turned.mean_difference.mean <= turned.mean_difference.high
    assert (turned.p, turned.reversed()) == (test.p, test)


def test_every_pair_of_methods_is_compared():
    compared = paired_tests(images(a=noisy(0), b=noisy(1), c=noisy(2)), 0)
    assert [(one.other, one.method) for one in compared] == [("a", "b"), ("a", "c"), ("b", "c")]
