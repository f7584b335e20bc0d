"""Points, curves and frames: the geometry of all shapes.

A shape is an array of points, `(N, 2)`, float64, x to the right and y down.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Points = NDArray[np.float64]

Point = Sequence[float] | Points
"""A point or a pair of radii, `(2,)`."""


def points(*pairs: Sequence[float]) -> Points:
    """Return the `(x, y)` pairs as an array `(N, 2)`."""
    return np.array(pairs, dtype=np.float64)


def smooth(control: ArrayLike, closed: bool = False, steps: int = 8) -> Points:
    """Return a uniform Catmull-Rom curve through `control` `(N, 2)`, `steps` samples per span."""
    knots = np.asarray(control, dtype=np.float64)
    if closed:
        padded = np.concatenate([knots[-1:], knots, knots[:2]])
    else:
        padded = np.concatenate([2 * knots[:1] - knots[1:2], knots, 2 * knots[-1:] - knots[-2:-1]])
    before, start, end, after = (padded[i : len(padded) - 3 + i, None] for i in range(4))
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    curve = 0.5 * (
        2 * start
        + (end - before) * t
        + (2 * before - 5 * start + 4 * end - after) * t**2
        + (3 * start - before - 3 * end + after) * t**3
    )
    flat = curve.reshape(-1, 2)
    return flat if closed else np.concatenate([flat, knots[-1:]])


def ellipse(centre: Point, radii: Point, steps: int = 40) -> Points:
    """Return a closed ellipse as `(steps, 2)` points."""
    angles = np.linspace(0, 2 * np.pi, steps, endpoint=False)
    around: Points = np.asarray(centre) + np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii
    return around


def rectangle(left: float, top: float, right: float, bottom: float) -> Points:
    """Return the four corners, `(4, 2)`, clockwise from the top left."""
    return points((left, top), (right, top), (right, bottom), (left, bottom))


def star(centre: Point, outer: float, inner: float, tips: int, turn: float) -> Points:
    """Return a star, `(2 * tips, 2)`; the first point is a tip, at angle `turn` in radians."""
    angles = turn + np.arange(2 * tips) * np.pi / tips
    radii = np.where(np.arange(2 * tips) % 2 == 0, outer, inner)
    rim = np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii[:, None]
    around: Points = np.asarray(centre) + rim
    return around


def rotated(shape: Points, angle: float) -> Points:
    """Return `shape` turned clockwise on the page by `angle` radians about the origin."""
    cos, sin = np.cos(angle), np.sin(angle)
    turned: Points = shape @ np.array([[cos, sin], [-sin, cos]])
    return turned


def scaled(shape: Points, factor: float | Sequence[float]) -> Points:
    """Return `shape` scaled about the mean of its points, by one factor or by those of x and y."""
    middle = shape.mean(axis=0)
    about: Points = middle + (shape - middle) * factor
    return about


def moved(shape: Points, x: float, y: float) -> Points:
    """Return `shape`, `(N, 2)` or one point, moved by `(x, y)`."""
    there: Points = shape + np.array([x, y])
    return there


def mirrored(shape: Points) -> Points:
    """Return `shape` reflected in the y axis, run backwards so that halves can be joined."""
    other: Points = shape[::-1] * np.array([-1.0, 1.0])
    return other


def normals(line: Points) -> Points:
    """Return unit normals `(N, 2)` to the left of the direction of `line`; y points down."""
    along = np.gradient(line, axis=0)
    length = np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-9)[:, None]
    return np.stack([along[:, 1], -along[:, 0]], axis=1) / length


def sides(spine: Points, width: ArrayLike) -> tuple[Points, Points]:
    """Return the two edges of a ribbon of `width` (a number, or one per point) along `spine`."""
    offset = normals(spine) * (np.broadcast_to(np.asarray(width), len(spine)) / 2)[:, None]
    return spine + offset, spine - offset


def ribbon(spine: Points, width: ArrayLike) -> Points:
    """Return the closed outline of a ribbon of `width` along `spine`."""
    left, right = sides(spine, width)
    return np.concatenate([left, right[::-1]])


@dataclass(frozen=True)
class Frame:
    """A similarity from a part's own coordinates to the page's pixels."""

    x: float
    y: float
    scale: float
    angle: float = 0.0

    def __call__(self, shape: ArrayLike) -> Points:
        """Return `shape` `(N, 2)` in this frame's coordinates as pixels of the page, `(N, 2)`."""
        own = np.asarray(shape, dtype=np.float64).reshape(-1, 2)
        return rotated(own, self.angle) * self.scale + (self.x, self.y)
