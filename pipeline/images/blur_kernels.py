"""Blur kernels of the degradation chain: `(side, side) float32` that sum to 1, `side` odd.

The kernels are those of Wang et al. 2021, "Real-ESRGAN: Training Real-World Blind Super-Resolution
with Pure Synthetic Data", sections 3.1 and 3.3.
"""

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Kernel = NDArray[np.float32]
KernelKind = Literal["gaussian", "generalized", "plateau"]


def bell(
    kind: KernelKind,
    side: int,
    sigmas: tuple[float, float],
    angle: float = 0.0,
    exponent: float = 1.0,
) -> Kernel:
    """Return a bell-shaped kernel, isotropic where both `sigmas` (pixels) are equal.

    With `d` the Mahalanobis distance from the centre of an ellipse with these half-axes, turned by
    `angle` (radians): `exp(-d²/2)` for gaussian, `exp(-d^2β/2)` for generalized, `1/(1 + d^2β)` for
    plateau; `exponent` is β. Section 3.1 of Real-ESRGAN; anisotropic Gaussians are of Zhang et al.
    2021, "Designing a Practical Degradation Model for Deep Blind Image Super-Resolution" (BSRGAN).
    """
    x, y = _offsets(side)
    cosine, sine = math.cos(angle), math.sin(angle)
    along, across = x * cosine + y * sine, y * cosine - x * sine
    squared = (along / sigmas[0]) ** 2 + (across / sigmas[1]) ** 2
    if kind == "plateau":
        return _normalised(1 / (1 + squared**exponent))
    return _normalised(np.exp(-0.5 * squared ** (exponent if kind == "generalized" else 1)))


def sinc(side: int, cutoff: float) -> Kernel:
    """Return a circular low-pass filter that rings; section 3.3 of Real-ESRGAN.

    `cutoff` is in radians per pixel; π passes nearly all.
    """
    from scipy.special import j1

    distance = np.hypot(*_offsets(side))
    centre = distance == 0
    distance[centre] = 1
    kernel = cutoff * j1(cutoff * distance) / (2 * math.pi * distance)
    kernel[centre] = cutoff**2 / (4 * math.pi)
    return _normalised(kernel)


def _offsets(side: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return x and y of a kernel's pixels, from its centre."""
    axis = np.arange(side, dtype=np.float64) - side // 2
    x, y = np.meshgrid(axis, axis)
    return x, y


def _normalised(kernel: NDArray[np.float64]) -> Kernel:
    normalised: Kernel = (kernel / kernel.sum()).astype(np.float32)
    return normalised
