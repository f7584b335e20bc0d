"""Draw scenery: clouds, stars, hills, woods, streets, the sea, rooms and near leaves."""

import numpy as np

from pipeline.drawings.canvas import Canvas, Colour
from pipeline.drawings.geometry import (
    Points,
    ellipse,
    moved,
    points,
    rectangle,
    rotated,
    scaled,
    smooth,
    star,
)
from pipeline.drawings.palette import WHITE, hsv, lightened, mix, shadowed

Light = list[Colour]


def draw_clouds(
    canvas: Canvas, horizon: float, lit: Colour, dark: Colour, rng: np.random.Generator
) -> None:
    """Draw heaped clouds: lobes with flat bottoms, lit above and shaded below."""
    for _ in range(int(rng.integers(2, 6))):
        wide = canvas.width * rng.uniform(0.15, 0.6)
        x, y = rng.uniform(0, canvas.width), rng.uniform(0.05, 0.95) * horizon
        positions = np.sort(rng.uniform(-1, 1, int(rng.integers(8, 16))))
        sizes = wide * 0.24 * (1.15 - positions**2) * rng.uniform(0.5, 1.1, len(positions))
        lobes = [
            ellipse((x + wide * position * 0.5, y - size * 0.6), (size, size * 0.85))
            for position, size in zip(positions, sizes, strict=True)
        ]
        for paint, drop in (
            (mix(lit, dark, 0.55), 0.0),
            (mix(lit, dark, 0.22), -0.1),
            (lit, -0.25),
        ):
            for lobe, size in zip(lobes, sizes, strict=True):
                shift = np.array([drop * size * 0.6, drop * size])
                canvas.fill(scaled(lobe, 1 + drop * 0.5) + shift, paint)


def draw_stars(canvas: Canvas, horizon: float, rng: np.random.Generator) -> None:
    """Draw stars of many sizes, a few of them twinkling, and a moon."""
    for _ in range(int(rng.integers(80, 240))):
        position = rng.uniform(0, 1, 2) * (canvas.width, horizon)
        size = rng.uniform(0.5, 2.0)
        canvas.fill(ellipse(position, (size, size), 8), lightened(hsv(rng.random(), 0.4, 1.0), 0.5))
    for _ in range(int(rng.integers(2, 8))):
        position = rng.uniform(0, 1, 2) * (canvas.width, horizon)
        canvas.fill(star(position, rng.uniform(5, 14), 1.2, 4, 0.0), WHITE)
    moon = np.array([canvas.width * rng.uniform(0.1, 0.9), horizon * rng.uniform(0.15, 0.5)])
    size = canvas.width * rng.uniform(0.05, 0.12)
    canvas.glow(moon, (size * 3, size * 3), (220, 225, 255), 0.5)
    canvas.fill(ellipse(moon, (size, size), 64), (255, 248, 220))
    for _ in range(5):
        crater = moon + rng.uniform(-0.55, 0.55, 2) * size
        canvas.fill(ellipse(crater, (size * rng.uniform(0.06, 0.2),) * 2), (238, 226, 196))


def draw_hills(canvas: Canvas, horizon: float, light: Light, rng: np.random.Generator) -> None:
    """Draw ridges one in front of the other, then a meadow of blades and flowers."""
    grass = hsv(rng.uniform(0.24, 0.38), rng.uniform(0.4, 0.7), rng.uniform(0.4, 0.75))
    for step in range(4):
        x = np.linspace(-0.05, 1.05, 9) * canvas.width
        y = horizon + (step - 2) * canvas.height * 0.05 + rng.normal(0, canvas.height * 0.03, 9)
        ridge = smooth(np.stack([x, y], axis=1))
        haze = mix(grass, light[-1], 0.75 - 0.25 * step)
        canvas.fill(
            np.concatenate([ridge, points((canvas.width, canvas.height), (0, canvas.height))]), haze
        )
    draw_grass(canvas, horizon + canvas.height * 0.1, grass, rng)


def draw_grass(canvas: Canvas, top: float, colour: Colour, rng: np.random.Generator) -> None:
    """Draw blades, longer towards the viewer, with a few flowers."""
    count = int(rng.integers(150, 420))
    for depth in np.sort(rng.uniform(0, 1, count)):
        x, y = rng.uniform(0, canvas.width), top + depth * (canvas.height - top)
        tall = canvas.height * (0.015 + 0.05 * depth) * rng.uniform(0.6, 1.4)
        lean = rng.normal(0, 0.4) * tall
        half = tall * 0.045 + 0.4
        blade = points(
            (x - half, y),
            (x + lean * 0.4 - half, y - tall * 0.6),
            (x + lean, y - tall),
            (x + lean * 0.4 + half, y - tall * 0.6),
            (x + half, y),
        )
        shade = rng.uniform(-0.45, 0.45)
        canvas.fill(blade, lightened(colour, shade) if shade > 0 else shadowed(colour, -shade))
        if depth > 0.3 and rng.random() < 0.12:
            canvas.fill(
                ellipse((x, y - tall), (2 + 4 * depth,) * 2, 12), hsv(rng.random(), 0.4, 1.0)
            )


def draw_trees(canvas: Canvas, horizon: float, light: Light, rng: np.random.Generator) -> None:
    """Draw a wood: trunks going back into haze, and crowns of many leaves."""
    leaf = hsv(rng.choice([0.3, 0.34, 0.08, 0.94]), rng.uniform(0.35, 0.7), rng.uniform(0.5, 0.8))
    draw_hills(canvas, horizon, light, rng)
    for depth in np.linspace(0.25, 1, int(rng.integers(5, 10))):
        x = rng.uniform(-0.05, 1.05) * canvas.width
        base = horizon + depth * canvas.height * 0.2
        half = canvas.width * 0.035 * depth
        bark = mix(hsv(0.06, 0.45, 0.35), light[-1], 0.75 * (1 - depth))
        trunk = smooth(points((x - half * 1.7, base), (x - half, base * 0.7), (x - half * 0.7, -5)))
        other = smooth(points((x + half * 0.7, -5), (x + half, base * 0.7), (x + half * 1.9, base)))
        canvas.fill(np.concatenate([trunk, other]), bark)
        canvas.fill(np.concatenate([moved(trunk, half * 1.1, 0), other]), shadowed(bark, 0.4))
        for share in rng.uniform(0, 1, 6):
            start = trunk[int(share * (len(trunk) - 3))] + (half * rng.uniform(0.2, 1.6), 0)
            canvas.stroke(np.stack([start, moved(start, 1, half * 2)]), shadowed(bark, 0.8), 1.2)
        colour = mix(leaf, light[-1], 0.6 * (1 - depth))
        _crown(
            canvas,
            np.array([x, canvas.height * 0.08]),
            canvas.width * (0.12 + 0.2 * depth),
            colour,
            rng,
        )


def _crown(
    canvas: Canvas, centre: Points, reach: float, colour: Colour, rng: np.random.Generator
) -> None:
    """Draw a heap of leaves, dark ones below, lit ones above."""
    leaf = smooth(points((-1, 0), (0, -0.42), (1, 0), (0, 0.42)), closed=True, steps=2)
    count = 120
    for lift in np.linspace(-1, 1, count):
        position = centre + rng.normal(0, 0.45, 2) * (reach, reach * 0.6) - (0, lift * reach * 0.2)
        tint = lightened(colour, 0.4 * lift) if lift > 0 else shadowed(colour, -0.8 * lift)
        size = max(2.0, reach * rng.uniform(0.03, 0.09))
        canvas.fill(rotated(leaf, rng.uniform(0, np.pi)) * size + position, tint)


def draw_leaves(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draw foliage that fills the page: rows of veined leaves, the nearest ones lightest."""
    hue = rng.choice([0.3, 0.36, 0.42, 0.05, 0.93])
    colour = hsv(hue, 0.55, 0.6)
    canvas.cover(shadowed(colour, 1.0))
    outline = smooth(
        points((0, 0), (0.5, -0.34), (1.1, -0.26), (1.6, 0), (1.1, 0.26), (0.5, 0.34)),
        closed=True,
        steps=4,
    )
    reach = min(canvas.width, canvas.height)
    for depth in np.sort(rng.uniform(0, 1, 240)):
        position = rng.uniform(-0.05, 1.05, 2) * (canvas.width, canvas.height)
        size, turn = reach * rng.uniform(0.03, 0.08), rng.uniform(0, 2 * np.pi)
        tint = mix(shadowed(colour, 0.8), lightened(colour, 0.35), depth * rng.uniform(0.6, 1.0))
        canvas.fill(rotated(outline, turn) * size + position, tint)
        vein = rotated(points((0.1, 0), (1.5, 0)), turn) * size + position
        canvas.stroke(vein, lightened(tint, 0.35), 1.2, (0.1, 0.6))
        if depth > 0.85 and rng.random() < 0.4:
            for step in range(5):
                petal = rotated(outline, turn + step * 2 * np.pi / 5) * size * 0.5 + position
                canvas.fill(petal, hsv(hue + 0.55, 0.35, 1.0))


def draw_city(canvas: Canvas, horizon: float, light: Light, rng: np.random.Generator) -> None:
    """Draw blocks of houses in rows, windows lit or dark, wires above a street."""
    for depth in (0.3, 0.6, 1.0):
        x = -canvas.width * 0.05
        wall = mix(hsv(rng.random(), 0.2, rng.uniform(0.3, 0.8)), light[-1], 0.8 * (1 - depth))
        while x < canvas.width:
            wide = canvas.width * rng.uniform(0.06, 0.16) * (0.5 + depth * 0.6)
            top = horizon - canvas.height * rng.uniform(0.05, 0.5) * (1.2 - 0.5 * depth)
            _house(
                canvas,
                (x, top, x + wide, canvas.height),
                mix(wall, WHITE, rng.uniform(0, 0.25)),
                depth,
                rng,
            )
            x += wide
    for _ in range(int(rng.integers(0, 5))):
        y = canvas.height * rng.uniform(0.05, 0.35)
        sag = canvas.height * rng.uniform(0.02, 0.08)
        wire = points((-5, y), (canvas.width * 0.5, y + sag), (canvas.width + 5, y - sag * 0.3))
        canvas.stroke(smooth(wire, steps=20), (36, 32, 44), rng.uniform(1.0, 2.5), (0, 0))


def _house(
    canvas: Canvas,
    box: tuple[float, float, float, float],
    wall: Colour,
    depth: float,
    rng: np.random.Generator,
) -> None:
    left, top, right, bottom = box
    canvas.fill(rectangle(*box), wall)
    canvas.fill(rectangle(left + (right - left) * 0.8, top, right, bottom), shadowed(wall, 0.4))
    glass = shadowed(wall, 0.75) if rng.random() < 0.6 else (255, 226, 150)
    columns, step = int(rng.integers(2, 5)), canvas.height * rng.uniform(0.022, 0.045)
    pitch = (right - left) * 0.76 / columns
    for row in range(min(24, int((bottom - top) / step))):
        for column in range(columns):
            x, y = left + pitch * (column + 0.2), top + step * (row + 0.3)
            pane = glass if rng.random() < 0.8 else lightened(glass, 0.4)
            canvas.fill(rectangle(x, y, x + pitch * 0.62, y + step * 0.55), pane)
    if depth == 1.0:
        canvas.contour(rectangle(*box), shadowed(wall, 1.0), 1.4)


def draw_sea(canvas: Canvas, horizon: float, light: Light, rng: np.random.Generator) -> None:
    """Draw the sea with glitter and foam, and the sand."""
    width, height = canvas.width, canvas.height
    shore = horizon + (height - horizon) * rng.uniform(0.4, 0.7)
    canvas.gradient(
        rectangle(0, horizon, width, height),
        [mix(light[0], (20, 120, 170), 0.6), hsv(0.5, 0.4, 0.9)],
    )
    for depth in rng.uniform(0, 1, 260) ** 1.5:
        x, y = rng.uniform(0, width), horizon + depth * (shore - horizon)
        long, tall = width * (0.006 + 0.03 * depth) * rng.uniform(0.4, 1.6), 0.6 + 2.2 * depth
        canvas.fill(
            ellipse((x, y), (long, tall), 12),
            lightened(light[-1], 0.6) if rng.random() < 0.7 else mix(light[0], (10, 70, 120), 0.5),
        )
    for step, paint in enumerate((WHITE, hsv(0.11, 0.3, 0.75), hsv(0.11, 0.25, 0.95))):
        across = np.linspace(-0.05, 1.05, 12) * width
        down = shore + step * height * 0.018 + rng.normal(0, height * 0.007, 12)
        edge = smooth(np.stack([across, down], axis=1))
        canvas.fill(np.concatenate([edge, points((width, height), (0, height))]), paint)
    for _ in range(220):
        position = rng.uniform(0, 1, 2) * (width, height - shore) + (0, shore + height * 0.05)
        canvas.fill(
            ellipse(position, (rng.uniform(0.6, 2.2), 0.8), 8),
            hsv(0.09, 0.35, rng.uniform(0.6, 1.0)),
        )


def draw_room(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draw a room: papered wall, a window on the sky or shelves of books, floor boards."""
    width, height = canvas.width, canvas.height
    wall = hsv(rng.uniform(0.02, 0.2), rng.uniform(0.1, 0.4), rng.uniform(0.5, 0.95))
    floor = height * rng.uniform(0.75, 0.9)
    left, top, right, bottom = width * 0.12, height * 0.1, width * 0.62, floor * 0.75
    window = rectangle(left, top, right, bottom)
    for part in (
        rectangle(0, 0, width, top),
        rectangle(0, bottom, width, height),
        rectangle(0, 0, left, height),
        rectangle(right, 0, width, height),
    ):
        canvas.fill(part, wall)
    for share in np.linspace(0, 1, 4):
        x = left + (right - left) * share
        canvas.stroke(points((x, top), (x, bottom)), shadowed(wall, 0.8), 7, (0, 0))
        canvas.stroke(points((x, top), (x, bottom)), lightened(wall, 0.5), 3.5, (0, 0))
    canvas.contour(window, shadowed(wall, 0.9), 9)
    canvas.contour(window, lightened(wall, 0.3), 5)
    _shelves(canvas, (right + width * 0.06, top, width * 1.02, floor), wall, rng)
    canvas.fill(rectangle(0, floor, width, height), shadowed(wall, 0.5))
    for share in np.linspace(-1.5, 2.5, 22):
        board = points((width * (0.5 + (share - 0.5) * 0.6), floor), (width * share, height))
        canvas.stroke(board, shadowed(wall, 0.9), 1.5, (0, 0))


def _shelves(
    canvas: Canvas, box: tuple[float, float, float, float], wall: Colour, rng: np.random.Generator
) -> None:
    """Draw shelves filled with the backs of books."""
    left, top, right, bottom = box
    canvas.fill(rectangle(*box), shadowed(wall, 0.9))
    rows = 5
    step = (bottom - top) / rows
    for row in range(rows):
        x, base = left + 6.0, top + (row + 1) * step
        while x < right:
            wide, tall = rng.uniform(0.06, 0.2) * step, step * rng.uniform(0.6, 0.88)
            colour = hsv(rng.random(), rng.uniform(0.2, 0.6), rng.uniform(0.35, 0.9))
            back = rectangle(x, base - tall, x + wide, base)
            canvas.fill(back, colour)
            canvas.fill(
                rectangle(x, base - tall * 0.85, x + wide, base - tall * 0.75),
                lightened(colour, 0.5),
            )
            canvas.contour(back, shadowed(colour, 1.0), 1.0)
            x += wide + 1.0
        canvas.fill(rectangle(left, base - 3, right, base + 6), lightened(wall, 0.1))
        canvas.contour(rectangle(left, base - 3, right, base + 6), shadowed(wall, 1.0), 1.4)
