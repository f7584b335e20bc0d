"""The JPEG compression that pixels went through before they were saved without loss.

JPEG rounds the DCT coefficients of 8 × 8 blocks to multiples of a step, most of them to zero. In
blocks of another origin few are zero. Nikoukhah et al., “ZERO: a local JPEG grid origin detector
based on the number of DCT zeros and its applications in image forensics”, IPOL 2021, find the
origin so.
"""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from pipeline.images.quality import quality_of_steps

Floats = NDArray[np.float32]

BLOCK = 8
_BT601 = np.array([0.299, 0.587, 0.114], np.float32)
# The middle of a picture tells enough, in a sixteenth of a second.
_LARGEST_SIDE = 512
# Rounding to 8 bits moves a coefficient of luma by less, nearly always.
_ROUNDING = 0.6
_LEAST_BLOCKS = 16
_LEAST_SURPLUS = 3.0
"""By how many zeros blocks of the origin exceed those of any other, on average."""
_LEAST_COEFFICIENTS = 12
_LEAST_SHARE_OF_MULTIPLES = 0.7
_LARGEST_STEP = 120


def _dct_basis() -> Floats:
    """Return the orthonormal DCT-II of `BLOCK` values as a matrix, frequencies first."""
    frequencies = np.arange(BLOCK)
    basis = np.cos(np.pi * np.outer(frequencies, 2 * frequencies + 1) / (2 * BLOCK)) / 2
    basis[0] /= np.sqrt(2)
    return basis.astype(np.float32)


_BASIS = _dct_basis()


@dataclass(frozen=True)
class _Blocks:
    """The luma's blocks of one origin that are not of one colour.

    varied: which of the origin's blocks they are, row by row. coefficients: `(n, 8, 8)`, vertical
    frequency first. zeros: those of each block, `(n,)`.
    """

    varied: NDArray[np.bool_]
    coefficients: Floats
    zeros: NDArray[np.intp]


def traced_jpeg_quality(pixels: NDArray[np.uint8]) -> int | None:
    """Estimate the quality, 1 to 100, of the JPEG that `pixels`, `(h, w, c)`, were decoded from.

    The picture may have been cropped since, but not scaled or turned by other angles than 90°.
    Returns None where there are no traces, as in pictures below some 40 × 40.
    """
    middle = _middle(pixels)
    if min(middle.shape[:2]) < 2 * BLOCK:
        return None
    luma = _luma(middle)
    by_origin = [blocks for down in range(BLOCK) for blocks in _blocks_of_rows(luma[down:])]
    zeros = [
        blocks.zeros.mean() if len(blocks.zeros) >= _LEAST_BLOCKS else 0.0 for blocks in by_origin
    ]
    *_, second, most = np.sort(zeros)
    if most - second < _LEAST_SURPLUS:
        return None
    origin = int(np.argmax(zeros))
    down, right = divmod(origin, BLOCK)
    blocks = by_origin[origin].coefficients
    unclipped = blocks[~_clipped(middle[down:, right:])[by_origin[origin].varied]]
    return quality_of_steps(_steps(unclipped if len(unclipped) >= _LEAST_BLOCKS else blocks))


def _luma(pixels: NDArray[np.uint8]) -> Floats:
    """Return BT.601 luma of grey or RGB, with or without alpha, `(h, w)`: JPEG's own."""
    colours = pixels.astype(np.float32)
    return colours[..., 0] if pixels.shape[2] < 3 else colours[..., :3] @ _BT601


def _middle(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    top, left = (max(0, (length - _LARGEST_SIDE) // 2) for length in pixels.shape[:2])
    return pixels[top : top + _LARGEST_SIDE, left : left + _LARGEST_SIDE]


def _clipped(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return which blocks of the origin at the corner have the least or the largest value, `(n,)`.

    Decoders clip what exceeds them, so that coefficients are no multiples any more.
    """
    # Alpha is no colour: of opaque pixels it is 255.
    colours = pixels[..., :1] if pixels.shape[2] < 3 else pixels[..., :3]
    extreme = ((colours == 0) | (colours == 255)).any(axis=2)
    down, across = (length // BLOCK for length in extreme.shape)
    blocks = extreme[: down * BLOCK, : across * BLOCK].reshape(down, BLOCK, across, BLOCK)
    clipped: NDArray[np.bool_] = blocks.any(axis=(1, 3)).ravel()
    return clipped


def _blocks_of_rows(luma: Floats) -> list[_Blocks]:
    """Return the blocks of the origins at the upper edge, by their 8 distances from the left."""
    height, width = luma.shape
    rows = luma[: height // BLOCK * BLOCK].reshape(-1, BLOCK, width)
    columns = np.einsum("fy,nyx->nfx", _BASIS, rows)
    # The windows are copied once, for products of matrices: one for each row, since BLAS shares a
    # large one among threads, which spin for a while after it.
    windows = np.ascontiguousarray(sliding_window_view(columns, BLOCK, axis=2))
    coefficients = windows @ _BASIS.T
    return [_varied(coefficients[:, :, left::BLOCK]) for left in range(BLOCK)]


def _varied(coefficients: Floats) -> _Blocks:
    """Return the blocks, `(rows, 8, columns, 8)`, that are not of one colour."""
    blocks = coefficients.transpose(0, 2, 1, 3).reshape(-1, BLOCK, BLOCK)
    zeros = (np.abs(blocks) < _ROUNDING).reshape(len(blocks), -1)[:, 1:].sum(axis=1)
    varied = zeros < BLOCK * BLOCK - 1
    return _Blocks(varied, blocks[varied], zeros[varied])


def _steps(coefficients: Floats) -> NDArray[np.float64]:
    """Return the step of each frequency, `(8, 8)`, or NaN where too few values show it."""
    steps = np.full((BLOCK, BLOCK), np.nan)
    for index in np.ndindex(steps.shape):
        values = np.abs(coefficients[:, *index])
        values = values[values >= 1]
        if index != (0, 0) and len(values) >= _LEAST_COEFFICIENTS:
            steps[index] = _step(values)
    return steps


def _step(values: Floats) -> int:
    """Return the largest step of which most of `values` are multiples."""
    for step in range(_LARGEST_STEP, 1, -1):
        distances = np.abs(values - step * np.round(values / step))
        if (distances < _ROUNDING).mean() >= _LEAST_SHARE_OF_MULTIPLES:
            return step
    return 1
