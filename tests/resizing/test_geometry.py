"""Golden geometry: which pixels are used, at which scale, and where they end up."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.images.decode import ImageRefused
from pipeline.images.resample import lanczos
from pipeline.params import ResizeParams
from pipeline.resizing.geometry import Fitted, fit

PARAMS = {"background": "#00ff00"}


def fit_one(pixels: NDArray[np.uint8], size: int, mode: str) -> Fitted:
    (fitted,) = fit(pixels, ResizeParams.model_validate(PARAMS | {"size": size, "mode": mode}))
    return fitted


def ramp(width: int, height: int) -> NDArray[np.uint8]:
    """Red encodes the column, green the row."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([columns, rows, columns * 0], -1).astype(np.uint8)


def test_crop_takes_the_centre_as_it_is_where_no_scaling_is_needed() -> None:
    fitted = fit_one(ramp(37, 16), 16, "crop")
    assert (fitted.scale, fitted.crop_box) == (1.0, (10, 0, 26, 16))
    assert np.array_equal(fitted.pixels, ramp(37, 16)[:, 10:26])


@pytest.mark.parametrize(
    ("width", "height", "busy", "box"),
    [
        (64, 200, (slice(0, 50), slice(None)), (0, 0, 64, 64)),
        (64, 200, (slice(150, 200), slice(None)), (0, 136, 64, 200)),
        (200, 64, (slice(None), slice(100, 164)), (100, 0, 164, 64)),
        (300, 100, (slice(None), slice(210, 290)), (200, 0, 300, 100)),
        (200, 64, (slice(0), slice(0)), (68, 0, 132, 64)),
        (64, 64, (slice(None), slice(None)), (0, 0, 64, 64)),
    ],
)
def test_detail_crops_where_most_is_to_be_seen(
    width: int, height: int, busy: tuple[slice, slice], box: tuple[int, int, int, int]
) -> None:
    """Noise in one part of a flat picture; an all flat one gives its centre."""
    picture = np.full((height, width, 3), 99, np.uint8)
    picture[busy] = np.random.default_rng(0).integers(0, 256, picture[busy].shape, np.uint8)
    fitted = fit_one(picture, 32, "detail")
    assert np.abs(np.subtract(fitted.crop_box, box)).max() <= 8
    left, top, right, bottom = fitted.crop_box
    assert np.array_equal(fitted.pixels, lanczos(picture[top:bottom, left:right], 32, 32))


def test_crop_scales_the_short_side_to_size() -> None:
    fitted = fit_one(ramp(64, 96), 32, "crop")
    assert (fitted.scale, fitted.crop_box) == (0.5, (0, 16, 64, 80))
    expected = lanczos(ramp(64, 96)[16:80], 32, 32)
    assert np.array_equal(fitted.pixels, expected)
    # Away from the edges a filter keeps a ramp: result pixel 16 lies between columns 32 and 33.
    assert fitted.pixels[16, 16].tolist() in ([32, 48, 0], [33, 49, 0], [32, 49, 0])


def test_pad_keeps_everything_and_borders_it() -> None:
    fitted = fit_one(ramp(64, 32), 16, "pad")
    assert (fitted.scale, fitted.crop_box) == (0.25, (0, 0, 64, 32))
    border = np.array([0, 255, 0])
    assert (fitted.pixels[:4] == border).all()
    assert (fitted.pixels[12:] == border).all()
    expected = lanczos(ramp(64, 32), 16, 8)
    assert np.array_equal(fitted.pixels[4:12], expected)


def test_pad_never_loses_the_short_side_of_a_line() -> None:
    assert fit_one(ramp(200, 1), 16, "pad").pixels.shape == (16, 16, 3)


def test_squash_scales_both_sides() -> None:
    fitted = fit_one(ramp(64, 32), 16, "squash")
    assert (fitted.scale, fitted.crop_box) == (0.25, (0, 0, 64, 32))
    expected = lanczos(ramp(64, 32), 16, 16)
    assert np.array_equal(fitted.pixels, expected)


@pytest.mark.parametrize(
    ("mode", "width", "height", "accepted"),
    [
        ("crop", 16, 99, True),
        ("crop", 15, 99, False),
        ("squash", 99, 15, False),
        ("cover", 99, 15, False),
        ("tiles", 31, 17, True),
        ("tiles", 99, 15, False),
        ("pad", 16, 3, True),
        ("pad", 15, 15, False),
    ],
)
def test_nothing_is_enlarged(mode: str, width: int, height: int, accepted: bool) -> None:
    if accepted:
        assert fit_one(ramp(width, height), 16, mode).pixels.shape == (16, 16, 3)
        return
    with pytest.raises(ImageRefused) as caught:
        fit_one(ramp(width, height), 16, mode)
    assert caught.value.reason == "too_small"
    assert f"{width}×{height}" in caught.value.text


@pytest.mark.parametrize("mode", ["crop", "detail", "cover", "pad", "squash", "tiles"])
def test_an_image_of_the_right_size_is_left_alone(mode: str) -> None:
    fitted = fit_one(ramp(16, 16), 16, mode)
    assert (fitted.scale, fitted.crop_box) == (1.0, (0, 0, 16, 16))
    assert np.array_equal(fitted.pixels, ramp(16, 16))


def cut(pixels: NDArray[np.uint8], most: int, mode: str = "tiles") -> list[Fitted]:
    return fit(pixels, ResizeParams.model_validate({"size": 16, "mode": mode, "max_tiles": most}))


def test_tiles_are_spread_over_the_whole_picture_as_it_is() -> None:
    picture = ramp(70, 40)
    tiles = cut(picture, 99)
    assert [tile.crop_box for tile in tiles] == [
        (left, top, left + 16, top + 16) for top in (0, 24) for left in (0, 18, 36, 54)
    ]
    for tile in tiles:
        left, top, right, bottom = tile.crop_box
        assert tile.scale == 1.0
        assert np.array_equal(tile.pixels, picture[top:bottom, left:right])
    assert [tile.crop_box for tile in cut(ramp(31, 16), 99)] == [(7, 0, 23, 16)]


@pytest.mark.parametrize(
    ("width", "height", "corners"),
    [
        (43, 32, [(0, 0), (11, 0)]),
        (32, 64, [(0, 0), (0, 32)]),
        (32, 65, [(0, 0), (0, 16), (0, 33)]),
    ],
)
def test_cover_takes_as_many_of_the_largest_squares_as_cover_all(
    width: int, height: int, corners: list[tuple[int, int]]
) -> None:
    picture = ramp(width, height)
    parts = cut(picture, 99, "cover")
    assert [part.crop_box for part in parts] == [(x, y, x + 32, y + 32) for x, y in corners]
    for part, (left, top) in zip(parts, corners, strict=True):
        assert part.scale == 0.5
        expected = lanczos(picture[top : top + 32, left : left + 32], 16, 16)
        assert np.array_equal(part.pixels, expected)
    assert len(cut(picture, 1, "cover")) == 1


def test_the_flattest_tiles_are_left_out() -> None:
    """Noise of four strengths, a ninth and last part flat: the strongest stay, row by row."""
    picture = np.full((48, 48, 3), 99, np.uint8)
    strengths = {(0, 0): 9, (16, 0): 90, (16, 32): 40, (32, 16): 150}
    random = np.random.default_rng(0)
    for (top, left), strength in strengths.items():
        noise = random.integers(0, strength, (16, 16, 3), np.uint8)
        picture[top : top + 16, left : left + 16] = noise
    assert [tile.crop_box[:2] for tile in cut(picture, 3)] == [(0, 16), (32, 16), (16, 32)]
    assert [tile.crop_box[:2] for tile in cut(picture, 1)] == [(16, 32)]


@pytest.mark.parametrize("mode", ["detail", "cover", "tiles"])
def test_detail_is_never_measured_in_an_enlarged_copy(
    monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """Four times the sides in size 16: of the largest originals a copy of a gigapixel."""
    sizes = []

    def recorded(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
        sizes.append((width, height))
        return lanczos(pixels, width, height)

    monkeypatch.setattr("pipeline.resizing.geometry.lanczos", recorded)
    fit(ramp(150, 40), ResizeParams.model_validate({"size": 16, "mode": mode}))
    assert len(sizes) > 1
    assert all(width <= 150 and height <= 40 for width, height in sizes)


def test_of_equal_tiles_the_first_stay() -> None:
    flat = np.full((48, 48, 3), 99, np.uint8)
    assert [tile.crop_box[:2] for tile in cut(flat, 2)] == [(0, 0), (16, 0)]
