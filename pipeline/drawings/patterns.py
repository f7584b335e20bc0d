"""Repeated patterns for cloth and walls, painted under the caller's clip."""

import numpy as np

from pipeline.drawings.canvas import Canvas, Paint
from pipeline.drawings.geometry import (
    Point,
    Points,
    ellipse,
    points,
    rectangle,
    rotated,
    smooth,
    star,
)

PATTERNS = (
    "striped",
    "plaid",
    "polka_dot",
    "checkered",
    "argyle",
    "star_print",
    "floral_print",
    "heart_print",
)

Box = tuple[float, float, float, float]


def bounds(shape: Points) -> Box:
    """Return left, top, right and bottom of `shape`."""
    left, top = shape.min(axis=0)
    right, bottom = shape.max(axis=0)
    return float(left), float(top), float(right), float(bottom)


def draw_pattern(
    canvas: Canvas, box: Box, kind: str, paint: Paint, pitch: float, angle: float
) -> None:
    """Cover `box` with the pattern `kind`, one of `PATTERNS`, `pitch` page pixels apart."""
    if kind in ("striped", "plaid"):
        _bands(canvas, box, paint, pitch, angle, crossed=kind == "plaid")
        return
    positions = _grid(box, pitch, angle, stagger=kind != "checkered")
    if kind == "floral_print":
        shapes = [
            petal
            for turn, position in enumerate(positions)
            for petal in petals(position, pitch * 0.3, turn)
        ]
    else:
        motif = _motif(kind, pitch, angle)
        shapes = [part + position for position in positions for part in motif]
    if shapes:
        canvas.fill_all(shapes, paint)


def _motif(kind: str, pitch: float, angle: float) -> list[Points]:
    """Return the shapes, about the origin, of one cell of the grid."""
    half = pitch / 2
    if kind == "polka_dot":
        return [ellipse((0, 0), (pitch * 0.22, pitch * 0.22), 20)]
    if kind == "checkered":
        square = rectangle(-half, -half, 0, 0)
        return [rotated(square, angle), rotated(square + half, angle)]
    if kind == "argyle":
        return [points((0, -half), (half * 0.6, 0), (0, half), (-half * 0.6, 0))]
    if kind == "star_print":
        return [star((0, 0), pitch * 0.28, pitch * 0.12, 5, angle)]
    return [heart(pitch * 0.25, angle)]


def heart(size: float, angle: float) -> Points:
    """Return a heart, `(26, 2)`, half of it `size` wide, about the origin and turned by `angle`."""
    t = np.linspace(0, 2 * np.pi, 26, endpoint=False)
    x = np.sin(t) ** 3
    y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)) / 16
    return rotated(np.stack([x, y], axis=1) * size, angle)


def petals(centre: Point, size: float, turn: float) -> list[Points]:
    """Return a flower of five petals, each notched at its tip."""
    petal = points((0, 0), (0.4, -0.5), (0.28, -0.95), (0, -0.82), (-0.28, -0.95), (-0.4, -0.5))
    outline = smooth(petal * size, closed=True, steps=4)
    turns = turn + np.arange(5) * 2 * np.pi / 5
    return [rotated(outline, float(angle)) + np.asarray(centre) for angle in turns]


def _bands(
    canvas: Canvas, box: Box, paint: Paint, pitch: float, angle: float, crossed: bool
) -> None:
    left, top, right, bottom = box
    centre = np.array([(left + right) / 2, (top + bottom) / 2])
    reach = float(np.hypot(right - left, bottom - top)) / 2 + pitch
    widths = [(0.0, 0.42, 0.55), (0.58, 0.08, 0.9)] if crossed else [(0.0, 0.5, 1.0)]
    for turn in (0.0, np.pi / 2) if crossed else (0.0,):
        for shift, width, opacity in widths:
            lows = np.arange(-reach, reach, pitch) + shift * pitch
            bands = [rectangle(-reach, low, reach, low + width * pitch) for low in lows]
            turned = [rotated(band, angle + turn) + centre for band in bands]
            canvas.fill_all(turned, paint, opacity)


def _grid(box: Box, pitch: float, angle: float, stagger: bool) -> Points:
    """Return positions `(N, 2)` of a grid that covers `box`, every other row half a step aside."""
    left, top, right, bottom = box
    centre = np.array([(left + right) / 2, (top + bottom) / 2])
    count = int(np.hypot(right - left, bottom - top) / 2 / pitch) + 2
    across, down = np.meshgrid(np.arange(-count, count + 1), np.arange(-count, count + 1))
    positions = (
        np.stack([across + 0.5 * (down % 2) * stagger, down], axis=-1).reshape(-1, 2) * pitch
    )
    positions = rotated(positions.astype(np.float64), angle) + centre
    near = (positions > (left - pitch, top - pitch)) & (positions < (right + pitch, bottom + pitch))
    covering: Points = positions[near.all(axis=1)]
    return covering
