"""Pictures with alpha: colours are computed premultiplied, since hidden ones are arbitrary.

Pictures are `(..., c, h, w)` with 1 to 4 channels: grey, grey and alpha, RGB, RGB and alpha.
"""

import torch
from torch import Tensor

from pipeline.images.raster import has_alpha
from pipeline.upscaling.consistency import range_nearby

WHITE_LEVELS = {torch.uint8: 255, torch.uint16: 65_535} | dict.fromkeys(
    (torch.float16, torch.bfloat16, torch.float32, torch.float64), 1
)
"""The value of white in each type of pixels."""


LEAST_ALPHA = 0.5 / 255
"""Below, colours are hidden, and black."""


def to_unit_range(pixels: Tensor) -> Tensor:
    """Return pixels of any type of `WHITE_LEVELS` as float32 in [0, 1]."""
    return pixels.to(torch.float32) / WHITE_LEVELS[pixels.dtype]


def from_unit_range(values: Tensor, dtype: torch.dtype) -> Tensor:
    """Return values in [0, 1] as levels of `dtype`, rounded where that is whole, still as float."""
    white = WHITE_LEVELS[dtype]
    return (values * white).round() if white > 1 else values


def picture_has_alpha(picture: Tensor) -> bool:
    """Return whether the last channel of `(..., c, h, w)` is alpha."""
    return has_alpha(picture.shape[-3])


def premultiply(picture: Tensor) -> Tensor:
    """Return the colours of `(..., c, h, w) float in [0, 1]`, times alpha where there is one."""
    if not picture_has_alpha(picture):
        return picture
    return picture[..., :-1, :, :] * picture[..., -1:, :, :]


def unpremultiply(colours: Tensor, alpha: Tensor) -> Tensor:
    """Join premultiplied colours and alpha into a picture `(..., c, h, w) float in [0, 1]`."""
    straight = torch.where(alpha > LEAST_ALPHA, colours / alpha.clamp(min=LEAST_ALPHA), 0)
    return torch.cat([straight.clamp(0, 1), alpha], -3)


def clamp_to_neighbours(alpha: Tensor, lr_alpha: Tensor) -> Tensor:
    """Clamp an enlarged alpha `(N, 1, H, W)` to the range of the nearest 3 × 3 LR pixels.

    A network is off by a level here and there: it would leave a haze on transparent parts, and
    holes in opaque ones.
    """
    scale = alpha.shape[-1] // lr_alpha.shape[-1]
    lowest, highest = (
        limit.repeat_interleave(scale, -2).repeat_interleave(scale, -1)
        for limit in range_nearby(lr_alpha)
    )
    return alpha.clamp(lowest, highest)
