"""Choose the colours of a drawing, or the inks of a monochrome one."""

from colorsys import hsv_to_rgb, rgb_to_hsv
from dataclasses import dataclass

import numpy as np

from pipeline.drawings.canvas import Colour, Paint, Tone

WHITE: Colour = (255, 255, 255)
BLACK: Colour = (16, 14, 18)

_HAIR = {  # hue, saturation and value of the lit colour
    "black": (0.66, 0.25, 0.26),
    "brown": (0.06, 0.52, 0.50),
    "blonde": (0.13, 0.45, 0.96),
    "orange": (0.06, 0.68, 0.93),
    "red": (0.99, 0.72, 0.76),
    "pink": (0.95, 0.36, 0.97),
    "purple": (0.76, 0.42, 0.72),
    "blue": (0.60, 0.55, 0.80),
    "aqua": (0.49, 0.45, 0.88),
    "green": (0.38, 0.42, 0.68),
    "silver": (0.66, 0.08, 0.90),
    "white": (0.60, 0.03, 0.98),
}
_EYES = {
    "blue": 0.59,
    "red": 0.985,
    "green": 0.38,
    "brown": 0.06,
    "purple": 0.77,
    "yellow": 0.13,
    "aqua": 0.50,
    "pink": 0.92,
}


@dataclass(frozen=True)
class Cel:
    """Colours of one material, as in cel animation: lit, shaded, highlight, edge and strands.

    A `brushed` material has soft light and visible strokes too.
    """

    base: Paint
    shade: Paint
    light: Paint
    line: Colour
    strand: Colour
    brushed: bool = False


@dataclass(frozen=True)
class Palette:
    """The materials of one character, and the names that tags give them."""

    hair: Cel
    hair_name: str
    skin: Cel
    cloth: Cel
    second: Cel
    trim: Cel
    eye: tuple[Colour, Colour, Colour]
    eye_name: str
    blush: Colour
    ink: Colour
    monochrome: bool


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """Return the colour as bytes; `hue` wraps, the others are clipped to [0, 1]."""
    red, green, blue = hsv_to_rgb(
        hue % 1.0, float(np.clip(saturation, 0, 1)), float(np.clip(value, 0, 1))
    )
    return round(red * 255), round(green * 255), round(blue * 255)


def mix(first: Colour, second: Colour, amount: float) -> Colour:
    """Return the mix of two colours: `first` at `amount` 0, `second` at 1."""
    red, green, blue = (round(a + (b - a) * amount) for a, b in zip(first, second, strict=True))
    return red, green, blue


def shadowed(colour: Colour, depth: float) -> Colour:
    """Return `colour` in shadow: darker, more saturated and nearer to violet, as in skylight."""
    hue, saturation, value = rgb_to_hsv(*(band / 255 for band in colour))
    turn = ((0.72 - hue + 0.5) % 1.0) - 0.5
    return hsv(hue + turn * 0.22 * depth, saturation + 0.22 * depth, value * (1 - 0.5 * depth))


def lightened(colour: Colour, amount: float) -> Colour:
    """Return `colour` mixed with white: itself at `amount` 0, white at 1."""
    return mix(colour, WHITE, amount)


def plain(paint: Paint) -> Colour:
    """Return a plain colour for a line, which cannot have a tone."""
    return paint if isinstance(paint, tuple) else paint.paper


def cel_of(colour: Colour, depth: float, line_strength: float, brushed: bool = False) -> Cel:
    """Return the material with the lit `colour`; `depth` in [0, 1] darkens its shadow."""
    dark = shadowed(shadowed(colour, 1.0), 0.9)
    return Cel(
        base=colour,
        shade=shadowed(colour, depth),
        light=lightened(colour, 0.55),
        line=mix(dark, BLACK, line_strength),
        strand=mix(dark, BLACK, line_strength * 0.8),
        brushed=brushed,
    )


def _skin(colour: Colour, depth: float, line_strength: float, brushed: bool) -> Cel:
    """Return skin, which turns redder in shadow, not bluer: blood colours the light within it."""
    hue, saturation, value = rgb_to_hsv(*(band / 255 for band in colour))
    shade = hsv(hue - 0.035, saturation + 0.05 + 0.22 * depth, value * (1 - 0.2 * depth))
    line = mix(hsv(0.01, 0.6, 0.45), BLACK, line_strength * 0.7)
    return Cel(colour, shade, lightened(colour, 0.5), line, line, brushed)


def choose_palette(rng: np.random.Generator, brushed: bool) -> Palette:
    """Choose a palette in full colour, of flat cels or of `brushed` materials."""
    depth = rng.uniform(0.28, 0.62)
    strength = rng.choice([0.15, 0.5, 0.85, 1.0])
    hair_name = str(rng.choice(list(_HAIR)))
    hue, saturation, value = _HAIR[hair_name] + rng.normal(0, (0.012, 0.04, 0.04))
    eye_name = str(rng.choice(list(_EYES)))
    eye_hue = _EYES[eye_name] + rng.normal(0, 0.012)
    tan = rng.random() ** 4
    skin = hsv(0.055 + 0.02 * rng.random(), 0.08 + 0.36 * tan, 1.0 - 0.30 * tan)
    cloth_hue = rng.random()
    cloth = hsv(cloth_hue, rng.beta(1.2, 1.6), rng.choice([rng.uniform(0.2, 0.5), 0.8, 0.97]))
    second = hsv(cloth_hue + rng.choice([0.06, 0.33, 0.5]), rng.beta(1.5, 2), rng.uniform(0.3, 1))
    trim = hsv(rng.random(), rng.uniform(0.5, 0.9), rng.uniform(0.6, 0.95))
    return Palette(
        hair=cel_of(hsv(hue, saturation, value), depth * 0.95, strength, brushed),
        hair_name=hair_name,
        skin=_skin(skin, depth, strength, brushed),
        cloth=cel_of(cloth, depth, strength, brushed),
        second=cel_of(second, depth, strength, brushed),
        trim=cel_of(trim, depth, strength, brushed),
        eye=(hsv(eye_hue, 0.75, 0.28), hsv(eye_hue, 0.75, 0.72), hsv(eye_hue - 0.04, 0.45, 1.0)),
        eye_name=eye_name,
        blush=mix(skin, (244, 70, 80), 0.55),
        ink=mix((70, 30, 40), BLACK, strength),
        monochrome=False,
    )


def choose_monochrome(rng: np.random.Generator, pitch: float) -> Palette:
    """Choose a palette of ink, paper and screentones `pitch` page pixels apart."""

    def tone(coverage: float) -> Tone:
        return Tone(BLACK, WHITE, pitch, coverage)

    white = Cel(WHITE, tone(0.16), WHITE, BLACK, BLACK)
    grey = Cel(tone(0.22), tone(0.45), WHITE, BLACK, BLACK)
    black = Cel(BLACK, BLACK, WHITE, BLACK, WHITE)
    hair_name, hair = [("white", white), ("grey", grey), ("black", black)][rng.integers(3)]
    cloth, second = (white, grey) if rng.random() < 0.5 else (grey, white)
    return Palette(
        hair=hair,
        hair_name=hair_name,
        skin=Cel(WHITE, tone(0.14), WHITE, BLACK, BLACK),
        cloth=cloth,
        second=second,
        trim=black if rng.random() < 0.5 else grey,
        eye=((20, 20, 20), (96, 96, 96), (206, 206, 206)),
        eye_name="",
        blush=(150, 150, 150),
        ink=BLACK,
        monochrome=True,
    )
