"""Arrays and tensors of users as batches `(N, c, h, w)`, and results in the caller's own form."""

import math
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.upscaling.transparency import WHITE_LEVELS

Layout = Literal["NCHW", "NHWC"]
"""Order of dimensions: channels before height and width, or behind. N is any number of them."""

ROUNDING = 0.5 / 255
"""How far beyond [0, 1] floats may be: half a level of 8 bits, more than rounding makes."""
TYPE_NAMES = ("uint8", "uint16", "float16", "float32", "float64")
TYPES = f"{', '.join(TYPE_NAMES)} or torch.bfloat16"


def to_batch(image: NDArray[Any] | Tensor, layout: Layout | None) -> Tensor:
    """Return pixels as `(N, c, h, w)` on the CPU, in their own type.

    `layout`: None is "NHWC" for arrays, "NCHW" for tensors; `(h, w)` is a grey picture in both.
    Floats beyond [0, 1] by no more than `ROUNDING` are clamped. Raises `ValueError` for what is no
    picture, which says what to do.
    """
    channels_last = _is_channels_last(image, layout)
    pixels = _from_numpy(image) if isinstance(image, np.ndarray) else _from_torch(image)
    if pixels.ndim == 2:
        pixels = pixels[None]
    elif channels_last and pixels.ndim > 2:
        pixels = pixels.movedim(-1, -3)
    if pixels.ndim < 3 or not 1 <= pixels.shape[-3] <= 4:
        raise ValueError(_shape_problem(tuple(image.shape), channels_last))
    if pixels.numel() == 0:
        raise ValueError(f"shape {tuple(image.shape)} has no pixels")
    return _in_range(pixels).reshape(-1, *pixels.shape[-3:])


def from_batch(
    hr: Tensor, image: NDArray[Any] | Tensor, layout: Layout | None
) -> NDArray[Any] | Tensor:
    """Return a result `(N, c, H, W)` in the type and order of dimensions of `image`."""
    if image.ndim == 2:
        result = hr[0, 0]
    else:
        ordered = hr.movedim(1, -1) if _is_channels_last(image, layout) else hr
        result = ordered.reshape(*image.shape[:-3], *ordered.shape[1:])
    if isinstance(image, Tensor):
        return result
    return np.ascontiguousarray(result.numpy()).astype(image.dtype, copy=False)


def _is_channels_last(image: NDArray[Any] | Tensor, layout: Layout | None) -> bool:
    if layout not in (None, "NCHW", "NHWC"):
        raise ValueError(f"layout: {layout} is unknown; use NCHW or NHWC")
    return layout == "NHWC" if layout else isinstance(image, np.ndarray)


def _from_numpy(image: NDArray[Any]) -> Tensor:
    if isinstance(image, np.ma.MaskedArray):
        raise ValueError(
            "a masked array has no values where it is masked: give them, as by image.filled(0), or "
            "pass the mask as alpha"
        )
    if image.dtype.name not in TYPE_NAMES:
        raise ValueError(_type_problem(image.dtype.name))
    native = image.dtype.newbyteorder("=")
    # PyTorch takes no negative strides, and warns of memory that cannot be written.
    return torch.from_numpy(np.require(np.asarray(image), native, ["C", "W"]))


def _from_torch(image: Tensor) -> Tensor:
    if image.layout != torch.strided:
        raise ValueError(f"a tensor of layout {image.layout} is no picture; pass image.to_dense()")
    if image.dtype not in WHITE_LEVELS:
        raise ValueError(_type_problem(str(image.dtype)))
    return image.detach().cpu()


def _type_problem(name: str) -> str:
    advice = "divide by the value of white, as floats" if "int" in name else "convert it"
    if name.endswith("bool"):
        advice = "multiply by 255, as uint8"
    return f"pixels are {TYPES}, and these {name}: {advice}"


def _shape_problem(shape: tuple[int, ...], channels_last: bool) -> str:
    named, position = ("NHWC", -1) if channels_last else ("NCHW", -3)
    other, elsewhere = ("NCHW", -3) if channels_last else ("NHWC", -1)
    problem = f"shape {shape}, read as {named}, has not 1 to 4 channels"
    if len(shape) > 2 and 1 <= shape[elsewhere] <= 4:
        return f"{problem} at {position}; for channels at {elsewhere} pass layout={other!r}"
    return f"{problem}: grey, grey and alpha, RGB, or RGB and alpha"


def _in_range(pixels: Tensor) -> Tensor:
    if not pixels.is_floating_point():
        return pixels
    lowest, highest = (float(limit) for limit in pixels.aminmax())
    if not (math.isfinite(lowest) and math.isfinite(highest)):
        raise ValueError("floats have NaN or infinity among them; no pixel has such a value")
    if lowest < -ROUNDING or highest > 1 + ROUNDING:
        raise ValueError(
            f"floats are from {lowest:g} to {highest:g}, and pixels from 0, black, to 1, white: "
            "divide by the value of white, such as 255, or clip what is beyond"
        )
    return pixels if lowest >= 0 and highest <= 1 else pixels.clamp(0, 1)
