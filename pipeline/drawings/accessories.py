"""Draw accessories of the head: ears, ribbons, hats, glasses, flowers, headphones."""

import numpy as np

from pipeline.drawings.canvas import Canvas
from pipeline.drawings.collars import draw_bow
from pipeline.drawings.geometry import ellipse, moved, points, rectangle, scaled, smooth, star
from pipeline.drawings.head import Head
from pipeline.drawings.palette import Palette, mix, plain
from pipeline.drawings.patterns import petals

ON_TOP = ("cat_ears", "rabbit_ears", "hat", "headphones", "hairband", "halo")
AT_THE_SIDE = ("hair_ribbon", "hair_flower", "hairclip")


def draw_accessory(
    canvas: Canvas, head: Head, palette: Palette, kind: str, rng: np.random.Generator
) -> None:
    """Draw `kind`, one of `ON_TOP`, of `AT_THE_SIDE`, or glasses."""
    _DRAWERS[kind](canvas, head, palette, rng)


def _animal_ears(canvas: Canvas, head: Head, palette: Palette, outline: np.ndarray) -> None:
    for side in (-1, 1):
        shape = smooth(head.shifted(outline * (side, 1), 0.0))
        canvas.fill(shape, palette.hair.base)
        inner = moved(scaled(shape, (0.6, 0.66)), 0, 0.04 * head.frame.scale)
        soft = (
            palette.skin.shade if palette.monochrome else mix(palette.blush, (255, 255, 255), 0.3)
        )
        canvas.fill(inner, soft)
        for position in np.linspace(0.2, 0.8, 4):
            index = int(position * (len(inner) - 1))
            tuft = np.stack(
                [inner[0] + (inner[-1] - inner[0]) * position, inner[index] * 0.6 + inner[0] * 0.4]
            )
            canvas.stroke(tuft, palette.hair.line, head.ink * 0.7, (0.1, 0.8))
        canvas.stroke(shape, palette.hair.line, head.ink * 1.1, (0.05, 0.05))


def _cat(canvas: Canvas, head: Head, palette: Palette, rng: np.random.Generator) -> None:
    tall = rng.uniform(0.55, 0.8)
    _animal_ears(
        canvas,
        head,
        palette,
        points(
            (0.28, -1.12),
            (0.42, -1.25 - tall * 0.55),
            (0.70, -1.22 - tall),
            (0.86, -1.1 - tall * 0.5),
            (0.88, -0.70),
        ),
    )


def _rabbit(canvas: Canvas, head: Head, palette: Palette, rng: np.random.Generator) -> None:
    lean = rng.uniform(0.0, 0.5)
    _animal_ears(
        canvas,
        head,
        palette,
        points(
            (0.2, -1.15),
            (0.22 + lean * 0.4, -1.8),
            (0.34 + lean, -2.4),
            (0.55 + lean, -2.35),
            (0.62 + lean * 0.5, -1.8),
            (0.58, -1.0),
        ),
    )


def _ribbon(canvas: Canvas, head: Head, palette: Palette, rng: np.random.Generator) -> None:
    side = rng.choice([-1, 1])
    size = rng.uniform(0.3, 0.5)
    positions = [(side * 0.7, -0.95)] if rng.random() < 0.6 else [(-0.75, -0.9), (0.75, -0.9)]
    for x, y in positions:
        draw_bow(canvas, head.frame([(x, y)])[0], size * head.frame.scale, palette.trim, head.ink)


def _hat(canvas: Canvas, head: Head, palette: Palette, rng: np.random.Generator) -> None:
    """Draw a brimmed hat, high or low, with its band."""
    tall = rng.uniform(0.6, 1.5)
    wide = rng.uniform(1.3, 1.8)
    crown = smooth(
        head.frame(
            points(
                (-0.86, -0.80),
                (-0.74, -0.9 - tall * 0.6),
                (-0.42, -1.0 - tall),
                (0.42, -1.0 - tall),
                (0.74, -0.9 - tall * 0.6),
                (0.86, -0.80),
            )
        )
    )
    cel = palette.second
    brim = head.frame(ellipse((0, -0.80), (wide, 0.30)))
    canvas.fill(crown, cel.base)
    with canvas.clip(crown):
        canvas.fill(
            head.frame([(0.3, -0.7), (0.5, -1.2 - tall), (2, -1.2 - tall), (2, -0.7)]), cel.shade
        )
        canvas.fill(head.frame(rectangle(-1.2, -0.7, 1.2, -1.0)), palette.trim.base)
    canvas.stroke(crown, cel.line, head.ink * 1.1, (0, 0))
    canvas.fill(brim, cel.base)
    with canvas.clip(brim):
        canvas.fill(head.frame(ellipse((0, -0.62), (wide, 0.28))), cel.shade)
    canvas.contour(brim, cel.line, head.ink * 1.1)


def _glasses(canvas: Canvas, head: Head, palette: Palette, rng: np.random.Generator) -> None:
    colour = palette.trim.line if rng.random() < 0.5 else (30, 28, 34)
    round_ones = rng.random() < 0.6
    for side in (-1, 1):
        turn = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        power = 1.0 if round_ones else 0.6
        x = side * 0.41 + 0.29 * np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** power
        y = 0.32 + 0.24 * np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** power
        rim = head.surface(x, y)
        canvas.fill(rim, (235, 245, 255), 0.14)
        canvas.contour(rim, colour, head.ink * 1.8)
        glint = head.surface([side * 0.41 - 0.16, side * 0.41 - 0.06], [0.40, 0.20])
        canvas.stroke(glint, (255, 255, 255), head.ink * 1.8, (0.3, 0.3))
        canvas.stroke(
            head.surface([side * 0.70, side * 0.92], [0.28, 0.2]), colour, head.ink * 1.6, (0, 0)
        )
    bridge = head.surface([-0.12, 0.0, 0.12], [0.28, 0.25, 0.28])
    canvas.stroke(smooth(bridge), colour, head.ink * 1.8, (0, 0))


def _flower(canvas: Canvas, head: Head, palette: Palette, rng: np.random.Generator) -> None:
    side = rng.choice([-1, 1])
    for x, y, size in ((0.78, -0.68, 0.34), (0.98, -0.42, 0.22), (0.5, -0.95, 0.2)):
        centre = head.frame([(side * x, y)])[0]
        reach = size * head.frame.scale
        canvas.fill_all(petals(centre, reach * 1.12, size), palette.trim.line)
        canvas.fill_all(petals(centre, reach, size), palette.trim.base)
        canvas.fill_all(petals(centre, reach * 0.55, size + 0.6), palette.trim.light)
        canvas.fill(ellipse(centre, (reach * 0.16, reach * 0.16), 16), (250, 214, 90))


def _headphones(canvas: Canvas, head: Head, palette: Palette, rng: np.random.Generator) -> None:
    arc = smooth(
        head.shifted(
            points(
                (-1.05, 0.1),
                (-1.08, -0.5),
                (-0.7, -1.2),
                (0, -1.45),
                (0.7, -1.2),
                (1.08, -0.5),
                (1.05, 0.1),
            ),
            0.0,
        )
    )
    wide = 0.14 * head.frame.scale
    canvas.stroke(arc, palette.trim.line, wide + 2 * head.ink, (0, 0))
    canvas.stroke(arc, (236, 236, 240), wide, (0, 0))
    for side in (-1, 1):
        cup = head.frame(ellipse((side * 1.03 - 0.25 * np.sin(head.yaw), 0.18), (0.2, 0.36)))
        canvas.fill(cup, palette.trim.base)
        canvas.contour(cup, palette.trim.line, head.ink * 1.2)
        canvas.fill(scaled(cup, 0.55), palette.trim.light)


def _clip(canvas: Canvas, head: Head, palette: Palette, rng: np.random.Generator) -> None:
    side = rng.choice([-1, 1])
    for step in range(int(rng.integers(1, 4))):
        centre = head.shifted(points((side * (0.62 - 0.03 * step), -0.38 + 0.13 * step)), 0.5)[0]
        if rng.random() < 0.4:
            shape = star(centre, 0.14 * head.frame.scale, 0.06 * head.frame.scale, 5, 0.3)
        else:
            shape = (
                head.frame(points((-0.15, -0.03), (0.15, -0.07), (0.15, 0.0), (-0.15, 0.04)))
                - (head.frame.x, head.frame.y)
                + centre
            )
        canvas.fill(shape, palette.trim.base)
        canvas.contour(shape, palette.trim.line, head.ink * 0.9)


def _band(canvas: Canvas, head: Head, palette: Palette, rng: np.random.Generator) -> None:
    arc = smooth(
        head.shifted(
            points(
                (-0.98, -0.25),
                (-0.78, -0.82),
                (-0.3, -1.12),
                (0.3, -1.12),
                (0.78, -0.82),
                (0.98, -0.25),
            ),
            0.15,
        )
    )
    wide = rng.uniform(0.08, 0.18) * head.frame.scale
    canvas.stroke(arc, palette.trim.line, wide + 2 * head.ink, (0, 0))
    canvas.stroke(arc, plain(palette.trim.base), wide, (0, 0))
    if rng.random() < 0.5:
        for position in arc[3:-3:4]:
            frill = ellipse(position - (0, wide * 0.6), (wide * 0.55, wide * 0.5), 18)
            canvas.fill(frill, (250, 250, 252))
            canvas.contour(frill, palette.trim.line, head.ink * 0.7)


def _halo(canvas: Canvas, head: Head, palette: Palette, rng: np.random.Generator) -> None:
    ring = head.frame(ellipse((0, -1.62), (0.75, 0.2)))
    colour = (255, 255, 255) if palette.monochrome else (255, 226, 120)
    canvas.contour(ring, palette.ink, head.ink * 5.5)
    canvas.contour(ring, colour, head.ink * 3.5)


_DRAWERS = {
    "cat_ears": _cat,
    "rabbit_ears": _rabbit,
    "hair_ribbon": _ribbon,
    "hat": _hat,
    "glasses": _glasses,
    "hair_flower": _flower,
    "headphones": _headphones,
    "hairclip": _clip,
    "hairband": _band,
    "halo": _halo,
}
