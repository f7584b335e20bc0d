"""Pictures resized strip by strip: equal to PyTorch's resize of the whole."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.upscaling.strips import StripResizer


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
    [((200, 90), (100, 45)), ((131, 77), (97, 40)), ((64, 300), (16, 299)), ((4, 4), (1, 1))],
    ids=str,
)
def test_strips_leave_no_trace(size: tuple[int, int], result: tuple[int, int], strip: int) -> None:
    picture = torch.rand(2, 3, *size)
    whole = F.interpolate(picture.double(), result, mode="bicubic", antialias=True).clamp(0, 1)
    strips = resized(picture, *result, strip).double()
    torch.testing.assert_close(strips, whole, rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16])
def test_levels_are_rounded(dtype: torch.dtype) -> None:
    white = torch.iinfo(dtype).max
    picture = torch.randint(0, white + 1, (1, 1, 40, 60), dtype=torch.int32).to(dtype)
    whole = F.interpolate(picture.double() / white, (30, 31), mode="bicubic", antialias=True)
    levels = resized(picture, 30, 31, 16).double()
    assert (levels - whole.clamp(0, 1) * white).abs().max() <= 0.51


def test_hidden_colours_weigh_nothing() -> None:
    picture = torch.rand(1, 4, 40, 40)
    picture[:, 3:] = (picture[:, 3:] > 0.5).float()
    hidden = picture[:, 3:] == 0
    other = torch.cat([torch.where(hidden, 1 - picture[:, :3], picture[:, :3]), picture[:, 3:]], 1)
    assert torch.equal(resized(picture, 20, 25, 9), resized(other, 20, 25, 9))


def test_pixels_of_the_margin_are_weighed_only() -> None:
    """A picture that repeats, with a margin of its own other end, is resized as its repetition."""
    picture = torch.rand(1, 3, 32, 48)
    repeated = F.interpolate(
        picture.double().repeat(1, 1, 3, 3), (60, 72), mode="bicubic", antialias=True
    ).clamp(0, 1)
    around = F.pad(picture, (8, 8, 8, 8), "circular")
    result = resized(around, 20, 24, 10, margin=8).double()
    torch.testing.assert_close(result, repeated[..., 20:40, 24:48], rtol=0, atol=1e-6)
