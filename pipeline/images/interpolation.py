"""Interpolation by Pillow's filters, the baselines of every comparison."""

import numpy as np
import torch
from PIL import Image

FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
BASELINE = "bicubic"
"""The filter that stands for interpolation in one-to-one comparisons."""
INPUT = "input"
"""What stands for all filters at scale 1, where each returns the picture as it is."""


def baseline_of(scale: int) -> str:
    """Return the name of the method that others are compared with one to one."""
    return INPUT if scale == 1 else BASELINE


def baseline_in_words(scale: int) -> str:
    """Return what texts call that method."""
    return f"the {INPUT}" if scale == 1 else f"{BASELINE} interpolation"


def baselines_of(scale: int) -> tuple[str, ...]:
    """Return the names of the methods that `interpolate` has at a scale."""
    return (INPUT,) if scale == 1 else tuple(FILTERS)


def interpolate(lr: torch.Tensor, scale: int, method: str) -> torch.Tensor:
    """Enlarge (3, h, w) uint8 to (3, h·scale, w·scale) uint8 by a filter of `baselines_of`.

    Pillow's bicubic has a = −0.5, OpenCV's −0.75; its Lanczos has three lobes, OpenCV's four;
    bilinear and nearest are the same in both. A box filter, OpenCV's area, would equal nearest at
    whole factors. Antialiasing changes nothing here, as it only
    widens filters that shrink.
    """
    if scale == 1:
        return lr.clone()
    height, width = lr.shape[-2:]
    image = Image.fromarray(lr.permute(1, 2, 0).contiguous().numpy())
    enlarged = image.resize((width * scale, height * scale), FILTERS[method])
    return torch.from_numpy(np.array(enlarged)).permute(2, 0, 1).contiguous()
