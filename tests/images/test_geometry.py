"""Golden geometry: which pixels are used, at which scale, and where they end up."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.images.decode import ImageRefused
from pipeline.images.geometry import MODES, fit
from pipeline.images.resample import lanczos

GREEN = "#00ff00"


def ramp(width: int, height: int) -> NDArray[np.uint8]:
    """Red tells the column, green the row."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([columns, rows, columns * 0], -1).astype(np.uint8)


def test_crop_takes_the_centre_as_it_is_where_no_scaling_is_needed() -> None:
    fitted = fit(ramp(37, 16), 16, "crop", GREEN)
    assert (fitted.scale, fitted.crop_box) == (1.0, (10, 0, 26, 16))
    assert np.array_equal(fitted.pixels, ramp(37, 16)[:, 10:26])


def test_crop_scales_the_short_side_to_size() -> None:
    fitted = fit(ramp(64, 96), 32, "crop", GREEN)
    assert (fitted.scale, fitted.crop_box) == (0.5, (0, 16, 64, 80))
    expected = lanczos(ramp(64, 96)[16:80], 32, 32)
    assert np.array_equal(fitted.pixels, expected)
    # Away from the edges a filter keeps a ramp: result pixel 16 lies between columns 32 and 33.
    assert fitted.pixels[16, 16].tolist() in ([32, 48, 0], [33, 49, 0], [32, 49, 0])


def test_pad_keeps_everything_and_borders_it() -> None:
    fitted = fit(ramp(64, 32), 16, "pad", GREEN)
    assert (fitted.scale, fitted.crop_box) == (0.25, (0, 0, 64, 32))
    border = np.array([0, 255, 0])
    assert (fitted.pixels[:4] == border).all()
    assert (fitted.pixels[12:] == border).all()
    expected = lanczos(ramp(64, 32), 16, 8)
    assert np.array_equal(fitted.pixels[4:12], expected)


def test_pad_never_loses_the_short_side_of_a_line() -> None:
    assert fit(ramp(200, 1), 16, "pad", GREEN).pixels.shape == (16, 16, 3)


def test_squash_scales_both_sides() -> None:
    fitted = fit(ramp(64, 32), 16, "squash", GREEN)
    assert (fitted.scale, fitted.crop_box) == (0.25, (0, 0, 64, 32))
    expected = lanczos(ramp(64, 32), 16, 16)
    assert np.array_equal(fitted.pixels, expected)


@pytest.mark.parametrize(
    ("mode", "width", "height", "accepted"),
    [
        ("crop", 16, 99, True),
        ("crop", 15, 99, False),
        ("squash", 99, 15, False),
        ("pad", 16, 3, True),
        ("pad", 15, 15, False),
    ],
)
def test_nothing_is_enlarged(mode: str, width: int, height: int, accepted: bool) -> None:
    if accepted:
        assert fit(ramp(width, height), 16, mode, GREEN).pixels.shape == (16, 16, 3)
        return
    with pytest.raises(ImageRefused) as caught:
        fit(ramp(width, height), 16, mode, GREEN)
    assert caught.value.reason == "too_small"
    assert f"{width}×{height}" in caught.value.text


@pytest.mark.parametrize("mode", MODES)
def test_an_image_of_the_right_size_is_left_alone(mode: str) -> None:
    fitted = fit(ramp(16, 16), 16, mode, GREEN)
    assert (fitted.scale, fitted.crop_box) == (1.0, (0, 0, 16, 16))
    assert np.array_equal(fitted.pixels, ramp(16, 16))
