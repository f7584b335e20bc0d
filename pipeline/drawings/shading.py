"""Shading on top of flat cels: soft light and visible strokes."""

import numpy as np

from pipeline.drawings.canvas import Canvas, Colour
from pipeline.drawings.geometry import Points, points, ribbon, rotated, smooth
from pipeline.drawings.palette import Cel, mix


def airbrush(canvas: Canvas, shape: Points, cel: Cel, rng: np.random.Generator) -> None:
    """Soften the flat colour of `shape`, if its material is brushed; the caller clips to it."""
    base, shade, light = cel.base, cel.shade, cel.light
    if not (
        cel.brushed
        and isinstance(base, tuple)
        and isinstance(shade, tuple)
        and isinstance(light, tuple)
    ):
        return
    corner, size = shape.min(axis=0), np.ptp(shape, axis=0)
    for colour, drop in ((shade, 0.9), (shade, 0.6), (light, 0.2)):
        centre = corner + size * (rng.uniform(0.1, 0.9), drop + rng.normal(0, 0.1))
        canvas.glow(centre, size * rng.uniform(0.3, 0.65, 2), colour, rng.uniform(0.2, 0.5))
    angle = rng.uniform(0, np.pi)
    for _ in range(28):
        position = corner + size * rng.uniform(0, 1, 2)
        colour = mix(base, shade if rng.random() < 0.6 else light, rng.uniform(0.3, 0.9))
        reach = float(size.mean()) * rng.uniform(0.04, 0.2)
        brushstroke(canvas, position, reach, angle + rng.normal(0, 0.4), colour, 0.22)


def brushstroke(
    canvas: Canvas, position: Points, reach: float, angle: float, colour: Colour, opacity: float
) -> None:
    """Draw one bent stroke of a flat brush, `2 * reach` page pixels long."""
    bend = points((-1, 0), (-0.3, 0.12), (0.4, 0.1), (1, -0.08)) * reach
    spine = rotated(smooth(bend, steps=3), angle) + position
    width = reach * 0.34 * np.sqrt(np.linspace(1, 0.05, len(spine)))
    canvas.fill(ribbon(spine, width), colour, opacity)


def paint_over(canvas: Canvas, colours: list[Colour], count: int, rng: np.random.Generator) -> None:
    """Cover the page with `count` translucent strokes, from the widest to the finest."""
    reach = min(canvas.width, canvas.height)
    lean = rng.uniform(0, np.pi)
    for size in np.geomspace(0.16, 0.012, count):
        position = rng.uniform(-0.02, 1.02, 2) * (canvas.width, canvas.height)
        one, other = (colours[i] for i in rng.integers(0, len(colours), 2))
        colour = mix(one, other, rng.random())
        turn = lean + rng.normal(0, 0.5)
        brushstroke(canvas, position, reach * size, turn, colour, rng.uniform(0.08, 0.4))
