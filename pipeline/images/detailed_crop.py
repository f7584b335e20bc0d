"""The part of a picture that shows most of it; without PyTorch, which takes long to load."""

import numpy as np
from numpy.typing import NDArray


def detailed_crop(pixels: NDArray[np.uint8], side: int, scale: int) -> NDArray[np.uint8]:
    """Return the part of `(H, W, 3)` with the most detail, of `side` pixels or what there is.

    Its sides are multiples of `scale`. Raises `ValueError` where the picture is smaller than that.
    """
    height, width = (min(side, length) // scale * scale for length in pixels.shape[:2])
    if not (height and width):
        raise ValueError(
            f"{pixels.shape[1]}×{pixels.shape[0]} pixels are fewer than {scale}×{scale}"
        )
    levels = pixels.mean(axis=2, dtype=np.float32)
    steps = np.zeros_like(levels)
    steps[1:] += np.abs(np.diff(levels, axis=0))
    steps[:, 1:] += np.abs(np.diff(levels, axis=1))
    sums = np.pad(steps.cumsum(0, np.float64).cumsum(1), ((1, 0), (1, 0)))
    of_windows = (
        sums[height:, width:]
        - sums[:-height, width:]
        - sums[height:, :-width]
        + sums[:-height, :-width]
    )
    top, left = np.unravel_index(of_windows.argmax(), of_windows.shape)
    return pixels[top : top + height, left : left + width]
