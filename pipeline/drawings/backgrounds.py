"""Draw backgrounds, from bare paper to skies, woods and streets."""

import numpy as np
from PIL import Image

from pipeline.drawings.canvas import Canvas, Colour, Tone, ramp
from pipeline.drawings.geometry import ellipse, points, rectangle, rotated
from pipeline.drawings.palette import BLACK, WHITE, hsv, lightened, mix, shadowed
from pipeline.drawings.patterns import PATTERNS, draw_pattern
from pipeline.drawings.scenery import (
    draw_city,
    draw_clouds,
    draw_hills,
    draw_leaves,
    draw_room,
    draw_sea,
    draw_stars,
    draw_trees,
)
from pipeline.drawings.shading import paint_over

SCENES = ("sky", "night_sky", "sunset", "forest", "cityscape", "indoors", "beach", "leaf")
COLOURED = (
    *SCENES,
    "simple_background",
    "gradient_background",
    "patterned_background",
    "painted_background",
    "bokeh",
    "sunburst",
)
INKED = (
    "white_background",
    "screentone",
    "speed_lines",
    "sunburst",
    "patterned_background",
    "black_background",
)


def draw_background(canvas: Canvas, kind: str, rng: np.random.Generator) -> set[str]:
    """Cover the page with `kind`, one of `COLOURED`; return its tags."""
    hue = rng.random()
    drawers = {
        "simple_background": _simple,
        "gradient_background": _gradient,
        "patterned_background": _patterned,
        "bokeh": _bokeh,
        "sunburst": _sunburst,
        "painted_background": _painted,
    }
    if kind in drawers:
        drawers[kind](canvas, hue, rng)
        return {kind}
    return {kind} | _scene(canvas, kind, rng)


def draw_inked_background(
    canvas: Canvas, kind: str, pitch: float, rng: np.random.Generator
) -> set[str]:
    """Cover the page with `kind`, one of `INKED`, in ink and screentones `pitch` apart."""
    width, height = canvas.width, canvas.height
    page = rectangle(0, 0, width, height)
    if kind == "screentone":
        for step, coverage in enumerate(np.linspace(0.1, 0.5, 6)):
            top = height * step / 6
            canvas.fill(rectangle(0, top, width, height), Tone(BLACK, WHITE, pitch, coverage))
    elif kind == "speed_lines":
        draw_speed_lines(
            canvas, (width * rng.uniform(0.3, 0.7), height * rng.uniform(0.3, 0.6)), BLACK, rng
        )
    elif kind == "sunburst":
        _rays(canvas, Tone(BLACK, WHITE, pitch, 0.25), rng)
    elif kind == "patterned_background":
        draw_pattern(
            canvas,
            canvas.box,
            str(rng.choice(PATTERNS)),
            Tone(BLACK, WHITE, pitch, 0.2),
            width * 0.1,
            0.3,
        )
    elif kind == "black_background":
        canvas.fill(page, BLACK)
    return {kind}


def draw_speed_lines(
    canvas: Canvas, focus: tuple[float, float], colour: Colour, rng: np.random.Generator
) -> None:
    """Draw lines that run in from the edges towards `focus` and thin out before it."""
    far = float(np.hypot(canvas.width, canvas.height))
    near = min(canvas.width, canvas.height) * rng.uniform(0.32, 0.45)
    for angle in np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(90, 260)))):
        way = np.array([np.cos(angle), np.sin(angle)])
        start = near * rng.uniform(0.85, 1.5)
        half = far * rng.uniform(0.0006, 0.008)
        across = np.array([-way[1], way[0]]) * half
        wedge = np.stack([way * start, way * far + across, way * far - across]) + focus
        canvas.fill(wedge, colour)


def sky(canvas: Canvas, colours: list[Colour], noise: float, rng: np.random.Generator) -> None:
    """Draw a vertical gradient through `colours` with slow, painterly unevenness."""
    column = ramp(colours, np.linspace(0, 1, 96))
    uneven = rng.normal(0, noise, (6, 5, 1))
    coarse = np.asarray(
        Image.fromarray(uneven[..., 0].astype(np.float32)).resize(
            (96, 96), Image.Resampling.BICUBIC
        )
    )
    pixels = np.clip(column[:, None] + coarse[..., None], 0, 255)
    canvas.backdrop(Image.fromarray(pixels.astype(np.uint8)))


def _simple(canvas: Canvas, hue: float, rng: np.random.Generator) -> None:
    canvas.cover(
        WHITE if rng.random() < 0.4 else hsv(hue, rng.uniform(0.05, 0.5), rng.uniform(0.7, 1))
    )


def _gradient(canvas: Canvas, hue: float, rng: np.random.Generator) -> None:
    first, second = hsv(hue, 0.35, 0.95), hsv(hue + rng.normal(0, 0.15), 0.5, rng.uniform(0.4, 0.9))
    sky(canvas, [first, second] if rng.random() < 0.5 else [second, first], 14, rng)
    if rng.random() < 0.5:
        draw_pattern(
            canvas,
            canvas.box,
            str(rng.choice(PATTERNS[2:])),
            lightened(first, 0.5),
            canvas.width * rng.uniform(0.06, 0.2),
            0.4,
        )


def _patterned(canvas: Canvas, hue: float, rng: np.random.Generator) -> None:
    base = hsv(hue, rng.uniform(0.1, 0.45), rng.uniform(0.75, 1.0))
    canvas.cover(base)
    paint = (
        mix(base, hsv(hue + 0.1, 0.5, 0.8), rng.uniform(0.3, 1)) if rng.random() < 0.5 else WHITE
    )
    pitch = min(canvas.width, canvas.height) * rng.uniform(0.03, 0.16)
    kind, angle = str(rng.choice(PATTERNS)), float(rng.choice([0, np.pi / 4, 0.2]))
    draw_pattern(canvas, canvas.box, kind, paint, pitch, angle)
    if rng.random() < 0.5:
        inset = canvas.width * rng.uniform(0.05, 0.12)
        frame = rectangle(inset, inset, canvas.width - inset, canvas.height - inset)
        canvas.fill(frame, lightened(base, 0.7))
        canvas.contour(frame, shadowed(base, 0.6), 2.5)


def _bokeh(canvas: Canvas, hue: float, rng: np.random.Generator) -> None:
    """Draw lights out of focus: rimmed discs, some soft, over a dark or a light ground."""
    value = rng.choice([0.25, 0.5, 0.85])
    sky(canvas, [hsv(hue, 0.5, value), hsv(hue + 0.1, 0.45, value * 0.8)], 18, rng)
    reach = min(canvas.width, canvas.height)
    for _ in range(int(rng.integers(25, 60))):
        centre = rng.uniform(0, 1, 2) * (canvas.width, canvas.height)
        size = reach * rng.uniform(0.01, 0.09)
        colour = lightened(hsv(hue + rng.normal(0, 0.12), 0.5, 1.0), 0.4)
        disc = ellipse(centre, (size, size), 48)
        canvas.fill(disc, colour, rng.uniform(0.1, 0.5))
        if rng.random() < 0.4:
            canvas.contour(disc, lightened(colour, 0.4), max(1.2, size * 0.05))
    if rng.random() < 0.6:
        canvas.soften(rng.uniform(1.0, 4.0))


def _painted(canvas: Canvas, hue: float, rng: np.random.Generator) -> None:
    """Draw brushstrokes over a gradient, wide ones under fine ones."""
    value = rng.uniform(0.3, 1.0)
    colours = [
        hsv(hue + rng.normal(0, 0.09), rng.uniform(0.1, 0.6), value * rng.uniform(0.6, 1.1))
        for _ in range(4)
    ]
    sky(canvas, colours[:2], 14, rng)
    paint_over(canvas, colours, int(rng.integers(300, 800)), rng)


def _sunburst(canvas: Canvas, hue: float, rng: np.random.Generator) -> None:
    base = hsv(hue, rng.uniform(0.3, 0.7), 1.0)
    canvas.cover(base)
    _rays(canvas, hsv(hue + rng.choice([0.04, 0.5]), 0.6, 0.97), rng)


def _rays(canvas: Canvas, paint: Colour | Tone, rng: np.random.Generator) -> None:
    centre = np.array(
        [canvas.width * rng.uniform(0.3, 0.7), canvas.height * rng.uniform(0.35, 0.7)]
    )
    far = float(np.hypot(canvas.width, canvas.height))
    count = int(rng.integers(8, 22))
    wedge = points(
        (0, 0), (far, -far * np.tan(np.pi / count / 2)), (far, far * np.tan(np.pi / count / 2))
    )
    turns = 2 * np.pi * np.arange(count) / count
    canvas.fill_all([rotated(wedge, float(turn)) + centre for turn in turns], paint)


def _scene(canvas: Canvas, kind: str, rng: np.random.Generator) -> set[str]:
    """Draw a scene: sky, scenery, and often the haze of distance; return its tags."""
    horizon = canvas.height * rng.uniform(0.5, 0.8)
    day = [hsv(0.59, 0.75, 0.85), hsv(0.56, 0.4, 0.97), hsv(0.54, 0.1, 1.0)]
    dusk = [hsv(0.72, 0.5, 0.4), hsv(0.95, 0.5, 0.8), hsv(0.07, 0.6, 1.0), hsv(0.12, 0.4, 1.0)]
    night = [hsv(0.66, 0.75, 0.14), hsv(0.64, 0.6, 0.35), hsv(0.7, 0.35, 0.55)]
    tags: set[str] = set()
    light = {"night_sky": night, "sunset": dusk}.get(kind)
    if light is None:
        light = [day, dusk, night][rng.choice(3, p=[0.65, 0.2, 0.15])]
    sky(canvas, light, 8, rng)
    if light is night:
        draw_stars(canvas, horizon, rng)
    if kind == "indoors":
        draw_room(canvas, rng)
    elif kind == "leaf":
        draw_leaves(canvas, rng)
    else:
        if light is not night or rng.random() < 0.4:
            draw_clouds(canvas, horizon, mix(light[-1], WHITE, 0.7), light[1], rng)
            tags.add("cloud")
        ground = {
            "forest": draw_trees,
            "cityscape": draw_city,
            "sunset": draw_city,
            "beach": draw_sea,
        }
        ground.get(kind, draw_hills)(canvas, horizon, light, rng)
    if rng.random() < 0.35:
        paint_over(canvas, [*light, shadowed(light[0], 0.6)], int(rng.integers(150, 500)), rng)
    if rng.random() < 0.45:
        canvas.soften(float(rng.uniform(0.6, 3.5)))
        tags.add("blurry_background")
    return tags
