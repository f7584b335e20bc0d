"""Pictures resized strip by strip: equal to PyTorch's resize of the whole."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.upscaling.local_means import clamp_keeping_means
from pipeline.upscaling.strips import RESIZE_REACH, StripResizer


def greyish(*shape: int) -> Tensor:
    """Return noise whose resized values stay between black and white."""
    return 0.25 + 0.5 * torch.rand(shape, generator=torch.Generator().manual_seed(0))


def resized(picture: Tensor, height: int, width: int, strip: int, margin: int = 0) -> Tensor:
    hr = picture.new_empty(*picture.shape[:2], height, width)
    resizer = StripResizer(hr, *picture.shape[2:], margin)
    for rows in picture.split(strip, 2):
        resizer.strip(rows.shape[2]).copy_(rows)
        resizer.resize()
    return hr


@pytest.mark.parametrize("strip", [1, 7, 64, 1000])
@pytest.mark.parametrize(
    ("size", "result"),
    [((200, 90), (100, 45)), ((131, 77), (97, 40)), ((64, 300), (16, 299)), ((300, 16), (3, 4))],
    ids=str,
)
def test_strips_leave_no_trace(size: tuple[int, int], result: tuple[int, int], strip: int) -> None:
    picture = greyish(2, 3, *size)
    whole = F.interpolate(picture.double(), result, mode="bicubic", antialias=True)
    strips = resized(picture, *result, strip).double()
    torch.testing.assert_close(strips, whole, rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16])
def test_levels_are_rounded(dtype: torch.dtype) -> None:
    white = torch.iinfo(dtype).max
    picture = (greyish(1, 1, 40, 60) * white).to(dtype)
    whole = F.interpolate(picture.double() / white, (30, 31), mode="bicubic", antialias=True)
    levels = resized(picture, 30, 31, 16).double()
    assert (levels - whole * white).abs().max() <= 0.51


def test_hidden_colours_weigh_nothing() -> None:
    picture = torch.rand(1, 4, 40, 40)
    picture[:, 3:] = (picture[:, 3:] > 0.5).float()
    hidden = picture[:, 3:] == 0
    other = torch.cat([torch.where(hidden, 1 - picture[:, :3], picture[:, :3]), picture[:, 3:]], 1)
    assert torch.equal(resized(picture, 20, 25, 9), resized(other, 20, 25, 9))


def test_pixels_of_the_margin_are_weighed_only() -> None:
    """A picture that repeats, with a margin of its own other end, is resized as its repetition."""
    picture = greyish(1, 3, 32, 48)
    repeated = F.interpolate(
        picture.double().repeat(1, 1, 3, 3), (60, 72), mode="bicubic", antialias=True
    )
    margin = 2 * RESIZE_REACH
    around = F.pad(picture, (margin,) * 4, "circular")
    result = resized(around, 20, 24, 10, margin).double()
    torch.testing.assert_close(result, repeated[..., 20:40, 24:48], rtol=0, atol=1e-6)


def lines(side: int, every: int) -> Tensor:
    """Return `(1, 3, side, side)`: lines of 4 pixels, from black to white, back, and to grey."""
    white = (torch.arange(side) // 4 % every == 0).float().expand(1, 1, side, side)
    return torch.cat([white, 1 - white, white / 2], 1)


SIZES = [(186, 186), (187, 143), (231, 96)]


@pytest.mark.parametrize("every", [2, 3])
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("turned", [False, True], ids=["columns", "rows"])
def test_lines_keep_their_mean(every: int, size: tuple[int, int], turned: bool) -> None:
    """Of clamped values alone, it would be up to 3 levels off."""
    picture = lines(248, every).mT if turned else lines(248, every)
    off = (resized(picture, *size, 40).mean((2, 3)) - picture.mean((2, 3))).abs().max()
    assert off <= 0.8 / 255


@pytest.mark.parametrize("strip", [1, 7, 64])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_strips_leave_no_trace_where_values_are_clamped(size: tuple[int, int], strip: int) -> None:
    picture = (lines(248, 2) + lines(248, 3).mT) / 2
    whole = clamp_keeping_means(
        F.interpolate(picture.double(), size, mode="bicubic", antialias=True).float()
    )
    torch.testing.assert_close(resized(picture, *size, strip), whole, rtol=0, atol=1e-5)


def test_a_picture_that_repeats_is_clamped_as_its_repetition() -> None:
    picture = lines(96, 3)
    repeated = resized(picture.repeat(1, 1, 3, 3), 216, 216, 50)
    margin = 4 * RESIZE_REACH
    around = F.pad(picture, (margin,) * 4, "circular")
    result = resized(around, 72, 72, 10, margin)
    torch.testing.assert_close(result, repeated[..., 72:144, 72:144], rtol=0, atol=1e-5)


def test_colours_are_clamped_to_their_alpha() -> None:
    """An opaque white disc on nothing stays white up to its edge."""
    distance = torch.linspace(-1, 1, 120).square()
    disc = (distance[:, None] + distance < 0.7).float()[None, None]
    picture = disc.expand(1, 4, -1, -1)
    result = resized(picture, 97, 97, 13)
    visible = result[:, 3:] > 0.5 / 255
    assert result[:, :3].masked_select(visible).min() >= 1 - 1e-5
    assert (result[:, 3:].mean() - disc.mean()).abs() <= 0.8 / 255


def test_a_callers_autocast_costs_no_precision() -> None:
    picture = torch.rand(1, 3, 64, 48)
    expected = resized(picture, 30, 20, 16)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(resized(picture, 30, 20, 16), expected)
