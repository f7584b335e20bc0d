"""Draw speech bubbles, titles, sound effects and signatures, in the font that Pillow ships."""

from string import capwords

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pipeline.drawings.canvas import SUPERSAMPLING, Canvas, Colour
from pipeline.drawings.geometry import Points, ellipse, points, smooth
from pipeline.drawings.palette import BLACK, WHITE

_WORDS = [
    "Hello",
    "there",
    "wait",
    "what",
    "is",
    "it",
    "now",
    "nothing",
    "at",
    "all",
    "see",
    "you",
    "tomorrow",
    "really",
    "the",
    "stars",
    "are",
    "out",
    "tonight",
    "let",
    "us",
    "go",
    "home",
    "I",
    "knew",
    "that",
    "you",
    "would",
    "come",
    "don't",
    "be",
    "late",
    "thank",
    "you",
    "for",
    "today",
    "spring",
    "summer",
    "autumn",
    "winter",
    "magic",
    "sword",
    "school",
    "rain",
    "letter",
    "promise",
    "dream",
    "sky",
    "river",
    "moon",
    "light",
]
_SOUNDS = (
    "BANG!",
    "ZOOM",
    "DON!!",
    "Gasp!",
    "KYAA!",
    "Poof",
    "SLAM",
    "Doki doki",
    "WHOOSH",
    "?!",
    "...!",
)


def words(rng: np.random.Generator, count: int) -> str:
    """Return `count` words chosen at random, separated by spaces."""
    return " ".join(str(word) for word in rng.choice(_WORDS, count))


def sound(rng: np.random.Generator) -> str:
    """Return the letters of a sound effect chosen at random."""
    return str(rng.choice(_SOUNDS))


def write(
    canvas: Canvas,
    text: str,
    centre: tuple[float, float],
    size: float,
    colour: Colour,
    *,
    angle: float = 0.0,
    edge: Colour | None = None,
    bold: bool = False,
) -> None:
    """Letter `text` about `centre`, `size` page pixels high, over an outline of `edge`.

    `angle` is in degrees, counter-clockwise.
    """
    font = ImageFont.load_default(size=max(6.0, size * SUPERSAMPLING))
    weight = round(size * SUPERSAMPLING * 0.045) if bold else 0
    rim = round(size * SUPERSAMPLING * 0.11) if edge is not None else 0
    if edge is not None:
        _stamp(canvas, _mask(text, font, weight + rim, angle), centre, edge)
    _stamp(canvas, _mask(text, font, weight, angle), centre, colour)


def draw_bubble(
    canvas: Canvas,
    centre: tuple[float, float],
    half: tuple[float, float],
    tail: Points,
    ink: float,
    rng: np.random.Generator,
) -> None:
    """Draw a speech bubble with words set to fit, its tail pointing at `tail` `(2,)`."""
    shout = rng.random() < 0.25
    if shout:
        angles = np.linspace(0, 2 * np.pi, 36, endpoint=False)
        radii = np.where(np.arange(36) % 2 == 0, 1.24, 0.98) * rng.uniform(0.96, 1.06, 36)
        outline = (
            np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii[:, None] * half + centre
        )
    else:
        outline = ellipse(centre, half, 72)
    way = tail - np.array(centre)
    way = way / max(float(np.hypot(*way)), 1.0)
    across = np.array([-way[1], way[0]]) * min(half) * 0.28
    root = np.array(centre) + way * np.array(half) * 0.8
    tip = root + way * min(half) * rng.uniform(0.6, 1.0)
    spike = (
        smooth(np.stack([root - across, tip, root + across]), steps=3)
        if shout
        else np.stack([root - across, tip, root + across])
    )
    canvas.contour(outline, BLACK, ink * 2)
    canvas.contour(spike, BLACK, ink * 2)
    canvas.fill(outline, WHITE)
    canvas.fill(spike, WHITE)
    lines = [words(rng, int(rng.integers(1, 3))) for _ in range(int(rng.integers(1, 5)))]
    longest = max(len(line) for line in lines)
    size = min(half[0] * 1.45 / (longest * 0.52), half[1] * 1.3 / len(lines) / 1.2)
    for index, line in enumerate(lines):
        y = centre[1] + (index - (len(lines) - 1) / 2) * size * 1.2
        write(canvas, line, (centre[0], y), size, BLACK, bold=shout)


def draw_title(canvas: Canvas, colour: Colour, edge: Colour, rng: np.random.Generator) -> None:
    """Draw a large title at the top or the foot, with a smaller line under it, as on a cover."""
    text = capwords(words(rng, int(rng.integers(1, 4))))
    size = min(canvas.width * 1.6 / len(text), canvas.height * 0.12)
    at_top = rng.random() < 0.5
    y = canvas.height * (rng.uniform(0.07, 0.12) if at_top else rng.uniform(0.82, 0.9))
    tilt = float(rng.choice([0.0, 0.0, rng.uniform(-6, 6)]))
    write(canvas, text, (canvas.width / 2, y), size, colour, angle=tilt, edge=edge, bold=True)
    small = max(10.0, size * rng.uniform(0.2, 0.35))
    write(
        canvas,
        words(rng, int(rng.integers(2, 6))),
        (canvas.width / 2, y + size * 0.85),
        small,
        colour,
        edge=edge,
    )


def draw_signature(canvas: Canvas, colour: Colour, rng: np.random.Generator) -> None:
    """Draw a small name in a lower corner, underlined by a flourish."""
    size = rng.uniform(9, 18)
    x = canvas.width * rng.choice([0.1, 0.9])
    y = canvas.height * 0.97
    write(canvas, words(rng, 1), (x, y), size, colour)
    flourish = points(
        (x - size * 2, y + size * 0.7), (x, y + size * 0.55), (x + size * 2, y + size * 0.75)
    )
    canvas.stroke(smooth(flourish), colour, 1.4)


def _mask(
    text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, stroke: int, angle: float
) -> Image.Image:
    left, top, right, bottom = ImageDraw.Draw(Image.new("L", (1, 1))).textbbox(
        (0, 0), text, font=font, stroke_width=stroke
    )
    mask = Image.new("L", (int(right - left) + 4, int(bottom - top) + 4))
    ImageDraw.Draw(mask).text((2 - left, 2 - top), text, 255, font=font, stroke_width=stroke)
    return mask.rotate(angle, Image.Resampling.BILINEAR, expand=True) if angle else mask


def _stamp(canvas: Canvas, mask: Image.Image, centre: tuple[float, float], colour: Colour) -> None:
    corner = np.array(centre) - np.array(mask.size) / 2 / SUPERSAMPLING
    canvas.stamp(mask, corner, colour)
