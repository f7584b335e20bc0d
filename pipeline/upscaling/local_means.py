"""Local means: what a picture lacks in a neighbourhood is given to the pixels that have room."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

_LEAST_ROOM = 1e-4


@dataclass(frozen=True)
class GaussianWindow:
    """Weights of the pixels at most `radius` away, along each axis."""

    sigma: float
    radius: int


_NEAREST = GaussianWindow(sigma=0.8, radius=1)
CLAMP_REACH = 3 * _NEAREST.radius
"""Values further away do not change what `clamp_keeping_means` returns."""


def clamp_keeping_means(values: Tensor, highest: Tensor | float = 1.0) -> Tensor:
    """Return `(N, C, H, W)` clamped to 0 and `highest`, with its local means.

    What clamping takes from a window of 3 × 3 is given to the values nearby, in proportion to their
    room, and what it adds is taken from them. Where there is no room, it is lost.
    """
    clamped = values.clamp(min=0).minimum(torch.as_tensor(highest, dtype=values.dtype))
    lost = values - clamped
    if not lost.any():
        return clamped
    missing, room = blurred(lost, _NEAREST), highest - clamped
    up, down = shares(missing, room, clamped, _NEAREST)
    return (clamped + up * room) * (1 - down)


def shares(
    missing: Tensor, above: Tensor, below: Tensor, window: GaussianWindow
) -> tuple[Tensor, Tensor]:
    """Return which shares of the room above and below move each pixel up and down.

    So what is `missing` arrives, and where that is negative, is taken. All are `(N, C, H, W)`, the
    room not negative; pixels more than twice the radius away have no part.
    """
    up, down = missing.clamp(min=0), (-missing).clamp(min=0)
    return _shares(up, above, window), _shares(down, below, window)


def _shares(missing: Tensor, room: Tensor, window: GaussianWindow) -> Tensor:
    # The windows are symmetric: as much arrives as `room` times this would, summed over windows.
    spread = missing / blurred(room, window).clamp(min=_LEAST_ROOM)
    return blurred(spread, window).clamp(max=1)


def blurred(values: Tensor, window: GaussianWindow) -> Tensor:
    """Return means of `(N, C, H, W)` in windows, beyond the border of its mirror image."""
    return _blurred_along(-1, _blurred_along(-2, values, window), window)


def _blurred_along(axis: int, values: Tensor, window: GaussianWindow) -> Tensor:
    radius, side = window.radius, values.shape[axis]
    weights = [math.exp(-(offset**2) / (2 * window.sigma**2)) for offset in range(radius + 1)]
    whole = weights[0] + 2 * sum(weights[1:])
    extended = values.index_select(axis, _mirrored(side, radius, values.device))
    # A convolution of channels of their own takes up to five times as long on a CPU.
    means = extended.narrow(axis, radius, side) * (weights[0] / whole)
    for offset, weight in enumerate(weights[1:], 1):
        for start in (radius - offset, radius + offset):
            means.add_(extended.narrow(axis, start, side), alpha=weight / whole)
    return means


def _mirrored(side: int, margin: int, device: torch.device) -> Tensor:
    """Return positions of `side` pixels and of `margin` more at either end, mirrored into them."""
    positions = torch.arange(-margin, side + margin, device=device) % (2 * side)
    return torch.minimum(positions, 2 * side - 1 - positions)
