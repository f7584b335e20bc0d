"""Draw anime eyes: lids, lashes, irises with their gradients, rings and lights, and the brows."""

from dataclasses import dataclass

import numpy as np

from pipeline.drawings.canvas import Canvas, Colour
from pipeline.drawings.geometry import Points, ellipse, moved, points, ribbon, smooth, star
from pipeline.drawings.head import Head
from pipeline.drawings.palette import WHITE, Palette, lightened, mix, shadowed

EXPRESSIONS = ("open", "half-closed_eyes", "closed_eyes", "one_eye_closed")

_UPPER_LID = points(
    (-1, 0.32), (-0.78, -0.42), (-0.25, -0.93), (0.35, -0.88), (0.8, -0.4), (1, 0.1)
)
_LOWER_LID = points((1, 0.1), (0.86, 0.62), (0.42, 0.95), (-0.2, 0.98), (-0.7, 0.78), (-1, 0.32))


@dataclass(frozen=True)
class EyeStyle:
    """Style of both eyes of one face, in head coordinates.

    `tilt` raises the outer corners, `openness` is the share of the lid's height that is open.
    `lash` is the thickness of the upper lash and `iris` the radius of the iris, as shares of
    `half_height` and `half_width`. `gaze` moves the iris, `lights` is the number of highlights.
    """

    centre_x: float
    centre_y: float
    half_width: float
    half_height: float
    tilt: float
    lash: float
    pupil: str
    lights: int
    gaze: tuple[float, float]
    iris: float
    openness: float


def choose_eyes(rng: np.random.Generator, chibi: bool, expression: str) -> EyeStyle:
    """Choose eyes, from narrow and sharp to large and round."""
    size = rng.uniform(0.9, 1.18) * (1.22 if chibi else 1.0)
    openness = rng.uniform(0.5, 0.66) if expression == "half-closed_eyes" else 1.0
    return EyeStyle(
        centre_x=rng.uniform(0.385, 0.43),
        centre_y=rng.uniform(0.24, 0.30),
        half_width=0.235 * size,
        half_height=0.235 * size * rng.uniform(0.82, 1.2),
        tilt=float(rng.normal(0, 0.16)),
        lash=rng.uniform(0.1, 0.24),
        pupil=str(
            rng.choice(["round", "slit", "none", "star", "ring"], p=[0.5, 0.1, 0.2, 0.05, 0.15])
        ),
        lights=int(rng.integers(1, 4)),
        gaze=(float(rng.normal(0, 0.08)), float(rng.normal(0, 0.05))),
        iris=rng.uniform(0.56, 0.70),
        openness=openness,
    )


@dataclass(frozen=True)
class _Eye:
    """One eye's mapping: u runs from the inner corner at -1 to the outer at 1, v downwards."""

    head: Head
    style: EyeStyle
    side: int

    def __call__(self, shape: Points, closing: bool = True) -> Points:
        across, down = shape[:, 0], shape[:, 1]
        if closing:
            down = np.where(down < 0.5, 0.5 + (down - 0.5) * self.style.openness, down)
        down = down - across * self.style.tilt * 0.5
        x = self.side * (self.style.centre_x + across * self.style.half_width)
        return self.head.surface(x, self.style.centre_y + down * self.style.half_height)


def draw_eyes(
    canvas: Canvas,
    head: Head,
    palette: Palette,
    style: EyeStyle,
    expression: str,
    rng: np.random.Generator,
) -> None:
    """Draw both eyes under `expression`, one of `EXPRESSIONS`."""
    winking = int(rng.choice([-1, 1]))
    for side in (-1, 1):
        eye = _Eye(head, style, side)
        closed = expression == "closed_eyes" or (expression == "one_eye_closed" and side == winking)
        if closed:
            _closed_eye(canvas, eye, palette, happy=style.tilt < 0.1)
        else:
            _open_eye(canvas, eye, palette)


def draw_brows(canvas: Canvas, head: Head, palette: Palette, mood: float) -> None:
    """Draw brows: level at `mood` 0, angry above it, worried below."""
    colour = palette.ink if palette.monochrome else palette.hair.line
    for side in (-1, 1):
        line = head.surface(
            side * np.array([0.20, 0.42, 0.62]),
            -0.10 + np.array([0.06 * mood, -0.05 - 0.03 * mood, 0.02 - 0.07 * mood]),
        )
        canvas.stroke(smooth(line), colour, head.ink * 1.5, (0.2, 0.7))


def _closed_eye(canvas: Canvas, eye: _Eye, palette: Palette, happy: bool) -> None:
    if happy:
        arc = points((-1, 0.45), (-0.5, -0.02), (0.1, -0.12), (0.6, 0.1), (1.05, 0.55))
    else:
        arc = points((-1, 0.3), (-0.5, 0.6), (0.1, 0.68), (0.6, 0.52), (1.08, 0.2))
    lid = smooth(eye(arc, closing=False))
    thick = eye.style.lash * eye.style.half_height * eye.head.frame.scale
    canvas.stroke(lid, palette.ink, max(thick, eye.head.ink * 1.6), (0.35, 0.15))
    for u, reach in ((0.75, 0.22), (0.95, 0.3)):
        root, tip = (u, 0.25), (u + 0.28, 0.25 + (reach if not happy else -reach * 0.2))
        canvas.stroke(
            eye(points(root, tip), closing=False), palette.ink, eye.head.ink * 1.3, (0, 0.8)
        )


def _open_eye(canvas: Canvas, eye: _Eye, palette: Palette) -> None:
    upper, lower = smooth(eye(_UPPER_LID)), smooth(eye(_LOWER_LID))
    opening = np.concatenate([upper, lower[1:]])
    white = WHITE if palette.monochrome else mix(WHITE, palette.blush, 0.04)
    canvas.fill(opening, white)
    with canvas.clip(opening):
        _iris(canvas, eye, palette)
        lid_shadow = np.concatenate([upper, eye(_UPPER_LID * 0.96 + (0, 0.24))[::-1]])
        canvas.fill(lid_shadow, shadowed(palette.eye[0], 0.3), 0.32)
    _lashes(canvas, eye, palette, upper)


def _iris(canvas: Canvas, eye: _Eye, palette: Palette) -> None:
    """Draw the iris: gradient, ring, pupil and lights; the caller clips it to the opening."""
    style, ink = eye.style, eye.head.ink
    dark, middle, bright = palette.eye
    outward = eye.side * style.gaze[0]
    centre = np.array([outward - 0.04, 0.04 + style.gaze[1]])
    radii = np.array(
        [style.iris, min(0.98, style.iris * 1.45 / max(style.half_height / style.half_width, 0.7))]
    )

    def disc(size: float, shift: float = 0.0) -> Points:
        return eye(ellipse(moved(centre, 0, shift), radii * size), closing=False)

    rim = mix(dark, (10, 8, 16), 0.45)
    canvas.fill(disc(1.0), rim)
    ring = max(0.80, 1 - 2.2 * ink / max(style.half_width * eye.head.frame.scale * radii[0], 1))
    canvas.gradient(disc(ring), (dark, mix(dark, middle, 0.6), middle, bright))
    with canvas.clip(disc(ring)):
        canvas.fill(disc(0.62, 0.62), lightened(bright, 0.25), 0.55)
        _rays(canvas, eye, centre, radii, mix(middle, bright, 0.5))
    _pupil(canvas, eye, centre, radii, rim)
    _lights(canvas, eye, centre, radii, palette)


def _rays(canvas: Canvas, eye: _Eye, centre: Points, radii: Points, colour: Colour) -> None:
    for angle in np.linspace(0.15, 0.85, 9) * np.pi:
        way = np.array([np.cos(angle), np.sin(angle)]) * radii
        ray = eye(np.stack([centre + way * 0.5, centre + way * 0.95]), closing=False)
        canvas.stroke(ray, colour, eye.head.ink * 0.7, (0.5, 0.2))


def _pupil(canvas: Canvas, eye: _Eye, centre: Points, radii: Points, colour: Colour) -> None:
    kind = eye.style.pupil
    shape = {
        "round": ellipse(centre, radii * 0.42),
        "slit": ellipse(centre, radii * (0.16, 0.62)),
        "star": star((centre[0], centre[1]), 0.40, 0.18, 5, -np.pi / 2),
        "ring": ellipse(centre, radii * 0.36),
    }.get(kind)
    if shape is None:
        canvas.fill(
            eye(ellipse(centre - (0, 0.3), radii * (0.7, 0.45)), closing=False), colour, 0.6
        )
    elif kind == "ring":
        canvas.contour(eye(shape, closing=False), colour, eye.head.ink * 1.1)
    else:
        canvas.fill(eye(shape, closing=False), colour)


def _lights(canvas: Canvas, eye: _Eye, centre: Points, radii: Points, palette: Palette) -> None:
    """Draw highlights: on the same side of both eyes, since one light makes them."""
    left = -eye.side
    spots = [
        (np.array([0.36 * left, -0.46]), np.array([0.27, 0.24])),
        (np.array([-0.40 * left, 0.46]), np.array([0.15, 0.13])),
        (np.array([0.44 * left, 0.02]), np.array([0.09, 0.08])),
    ]
    for offset, size in spots[: eye.style.lights]:
        canvas.fill(eye(ellipse(centre + offset * radii, size * radii, 24), closing=False), WHITE)
    if not palette.monochrome and eye.style.lights > 1:
        crescent = points((-0.5, 0.62), (0, 0.88), (0.5, 0.62), (0, 0.76)) * radii + centre
        canvas.fill(
            smooth(eye(crescent, closing=False), closed=True), lightened(palette.eye[2], 0.5)
        )


def _lashes(canvas: Canvas, eye: _Eye, palette: Palette, upper: Points) -> None:
    """Draw the heavy upper lash with its wing, the crease above, and the fine lower line."""
    scale, ink, style = eye.head.frame.scale, eye.head.ink, eye.style
    along = np.linspace(0, 1, len(upper))
    thick = style.lash * style.half_height * scale * 1.5
    profile = np.maximum(thick * np.sin(np.pi * (0.12 + 0.66 * along)) ** 1.3, ink * 1.2)
    colour = palette.ink
    canvas.fill(ribbon(upper, profile), colour)
    for u, v, reach, rise in (
        (0.92, -0.12, 0.42, -0.22),
        (0.98, 0.05, 0.36, 0.06),
        (0.72, -0.5, 0.3, -0.34),
    ):
        wing = eye(
            points(
                (u - 0.16, v - 0.16),
                (u + reach * 0.6, v + rise * 0.4),
                (u + reach, v + rise),
                (u, v + 0.16),
            )
        )
        canvas.fill(wing, colour)
    if style.lash > 0.14:
        shine = upper[len(upper) // 5 : len(upper) * 4 // 5]
        canvas.stroke(shine, mix(colour, palette.eye[1], 0.55), thick * 0.3, (0.5, 0.5))
    crease = smooth(eye(_UPPER_LID[1:-1] * (0.95, 1) + (0.02, -0.42)))
    canvas.stroke(crease, palette.skin.line, ink * 0.7, (0.4, 0.4))
    low = smooth(eye(moved(_LOWER_LID[:4], 0.0, 0.04)))
    canvas.stroke(low, colour, ink * 0.9, (0.1, 0.7))
