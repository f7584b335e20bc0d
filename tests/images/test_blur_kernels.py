"""Blur kernels: what any of them keeps, and golden values of each kind."""

import math

import numpy as np
import pytest

from pipeline.images.blur_kernels import Kernel, KernelKind, bell, sinc

KERNELS = {
    "gaussian": bell("gaussian", 7, (1.5, 1.5)),
    "turned": bell("gaussian", 21, (3.0, 0.5), 0.7),
    "generalized": bell("generalized", 9, (1.0, 2.0), 1.2, 0.6),
    "plateau": bell("plateau", 9, (1.0, 1.0), exponent=2.0),
    "sinc": sinc(13, 1.1),
    "narrow sinc": sinc(21, math.pi / 5),
}


@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_sums_to_1_and_moves_nothing(name: str) -> None:
    kernel = KERNELS[name]
    assert kernel.dtype == np.float32
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    # The same from both sides, so that no edge is moved.
    assert np.allclose(kernel, kernel[::-1, ::-1], atol=1e-7)


def deviations(kernel: Kernel) -> tuple[float, float]:
    offsets = np.arange(len(kernel)) - len(kernel) // 2
    variances = [(kernel.sum(axis) * offsets**2).sum() for axis in (0, 1)]
    return math.sqrt(variances[0]), math.sqrt(variances[1])


def test_a_gaussian_has_its_deviations_along_its_axes() -> None:
    assert deviations(bell("gaussian", 51, (1.5, 4.0))) == pytest.approx((1.5, 4.0), rel=1e-3)
    turned = bell("gaussian", 51, (1.5, 4.0), math.pi / 2)
    assert deviations(turned) == pytest.approx((4.0, 1.5), rel=1e-3)


@pytest.mark.parametrize(
    ("kind", "exponent", "ratio"),
    [
        ("gaussian", 3.0, math.exp(-0.5 * 4)),
        ("generalized", 1.0, math.exp(-0.5 * 4)),
        ("generalized", 0.5, math.exp(-0.5 * 2)),
        ("plateau", 1.0, 1 / 5),
        ("plateau", 2.0, 1 / 17),
    ],
)
def test_the_value_two_deviations_from_the_centre(
    kind: KernelKind, exponent: float, ratio: float
) -> None:
    kernel = bell(kind, 9, (1.0, 1.0), exponent=exponent)
    assert kernel[4, 6] / kernel[4, 4] == pytest.approx(ratio, rel=1e-5)


def test_a_sinc_filter_keeps_low_frequencies_and_removes_high_ones() -> None:
    kernel = sinc(51, math.pi / 3)
    spectrum = np.abs(np.fft.fft2(kernel, (256, 256)))
    row = spectrum[0]
    # 256 samples are 2π: the cutoff π/3 lies at 42.7.
    assert row[:30] == pytest.approx(1, abs=0.1)
    assert row[60:128].max() < 0.1
    assert kernel.min() < 0
