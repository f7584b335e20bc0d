"""Draw the neck of a garment: collars, lapels, hoods, sashes, and the bow."""

import numpy as np

from pipeline.drawings.body import Body
from pipeline.drawings.canvas import Canvas
from pipeline.drawings.geometry import Points, ellipse, mirrored, points, smooth
from pipeline.drawings.palette import Cel, Palette, plain


def draw_opening(canvas: Canvas, body: Body, palette: Palette, outfit: str) -> None:
    """Draw the neckline of `outfit`, one of `clothes.OUTFITS`, over its garment."""
    _OPENINGS[outfit](canvas, body, palette)


def draw_bow(canvas: Canvas, centre: Points, size: float, cel: Cel, ink: float) -> None:
    """Draw a ribbon bow: two loops, two tails and the knot."""
    for side in (-1, 1):
        tail = points(
            (0, 0), (0.35, 0.9), (0.85, 1.75), (0.42, 1.62), (0.12, 1.85), (0.02, 0.6)
        ) * (side, 1)
        loop = points(
            (0, -0.05),
            (0.55, -0.55),
            (1.15, -0.5),
            (1.25, 0.1),
            (1.0, 0.55),
            (0.45, 0.35),
            (0, 0.12),
        ) * (side, 1)
        for part, shade in ((tail, cel.shade), (smooth(loop, closed=True), cel.base)):
            shape = part * size + centre
            canvas.fill(shape, shade)
            canvas.contour(shape, cel.line, ink)
        fold = smooth(points((0.1, 0), (0.5, 0.02), (0.85, 0.2)) * (side, 1) * size + centre)
        canvas.stroke(fold, cel.line, ink * 0.8, (0.1, 0.7))
        dark = points((0.2, 0.1), (0.7, 0.2), (1.05, 0.42), (0.5, 0.33)) * (side, 1) * size + centre
        canvas.fill(dark, cel.shade)
    knot = ellipse(centre, (size * 0.24, size * 0.28), 20)
    canvas.fill(knot, cel.base)
    canvas.contour(knot, cel.line, ink)


def _sailor(canvas: Canvas, body: Body, palette: Palette) -> None:
    """Draw the sailor collar with its two stripes."""
    low, unit = body.shoulder_y, body.detail
    for side in (-1, 1):
        collar = body.sway(
            points(
                (body.neck * 1.05, low - 0.36 * unit),
                (body.shoulder * 0.72, low - 0.12 * unit),
                (body.shoulder * 0.66, low + 0.30 * unit),
                (0.0, low + 0.75 * unit),
            )
            * (side, 1)
        )
        canvas.fill(collar, palette.second.base)
        canvas.contour(collar, palette.second.line, body.ink)
        for inset in (0.12, 0.2):
            centre = collar.mean(axis=0)
            stripe = collar[1:] + (centre - collar[1:]) * inset
            canvas.stroke(stripe, plain(palette.cloth.light), body.ink * 1.4, (0, 0))


def _lapels(canvas: Canvas, body: Body, palette: Palette) -> None:
    """Draw a blazer's shirt front, tie and lapels."""
    low, unit = body.shoulder_y, body.detail
    shirt = body.sway(
        points(
            (-body.neck * 1.1, low - 0.36 * unit),
            (body.neck * 1.1, low - 0.36 * unit),
            (0, low + 1.3 * unit),
        )
    )
    canvas.fill(shirt, (250, 250, 252))
    tie = body.sway(
        points(
            (-0.1, low),
            (0.1, low),
            (0.15, low + 0.9 * unit),
            (0, low + 1.15 * unit),
            (-0.15, low + 0.9 * unit),
        )
    )
    canvas.fill(tie, palette.trim.base)
    canvas.contour(tie, palette.trim.line, body.ink)
    for side in (-1, 1):
        lapel = body.sway(
            points(
                (body.neck * 1.1, low - 0.36 * unit),
                (body.shoulder * 0.5, low + 0.1 * unit),
                (body.shoulder * 0.36, low + 0.28 * unit),
                (body.shoulder * 0.46, low + 0.34 * unit),
                (0, low + 1.35 * unit),
            )
            * (side, 1)
        )
        canvas.fill(lapel, palette.cloth.base)
        canvas.contour(lapel, palette.cloth.line, body.ink)
    _buttons(canvas, body, palette)


def _buttons(canvas: Canvas, body: Body, palette: Palette) -> None:
    for step in range(2):
        button = ellipse(
            body.sway(points((0.05, body.shoulder_y + (1.6 + 0.5 * step) * body.detail)))[0],
            (0.06 * body.frame.scale,) * 2,
            16,
        )
        canvas.fill(button, palette.trim.base)
        canvas.contour(button, palette.trim.line, body.ink * 0.7)


def _hood(canvas: Canvas, body: Body, palette: Palette) -> None:
    """Draw a hood's folded rim, its cords and the zip."""
    low, unit = body.shoulder_y, body.detail
    for side in (-1, 1):
        rim = smooth(
            body.sway(
                points(
                    (0.0, low + 0.32 * unit),
                    (body.neck * 1.2, low - 0.1 * unit),
                    (body.neck * 1.6, low - 0.62 * unit),
                    (body.shoulder * 0.80, low - 0.42 * unit),
                    (body.shoulder * 0.66, low + 0.16 * unit),
                    (0.1, low + 0.5 * unit),
                )
                * (side, 1)
            ),
            closed=True,
        )
        canvas.fill(rim, palette.cloth.base)
        canvas.contour(rim, palette.cloth.line, body.ink)
        cord = smooth(
            body.sway(
                points((0.18, low + 0.35 * unit), (0.24, low + 0.8 * unit), (0.2, low + 1.2 * unit))
                * (side, 1)
            )
        )
        canvas.stroke(cord, plain(palette.trim.line), body.ink * 3.4, (0, 0))
        canvas.stroke(cord, plain(palette.trim.light), body.ink * 1.8, (0, 0))
    zipper = body.sway(points((0, low + 0.5 * unit), (0, body.hip_y)))
    canvas.stroke(zipper, palette.cloth.line, body.ink * 1.2, (0, 0))


def _crossed(canvas: Canvas, body: Body, palette: Palette) -> None:
    """Draw a kimono's crossed collar and its sash."""
    low, unit = body.shoulder_y, body.detail
    for side in (1, -1):
        band = body.sway(
            points(
                (body.neck * 1.0, low - 0.45 * unit),
                (body.neck * 1.9, low - 0.3 * unit),
                (-0.25 * unit, low + 1.5 * unit),
                (-0.5 * unit, low + 1.3 * unit),
            )
            * (side, 1)
        )
        canvas.fill(band, palette.second.base)
        canvas.contour(band, palette.second.line, body.ink)
    wide = body.chest + 0.1
    sash = body.sway(
        points(
            (-wide, body.waist_y - 0.65 * unit),
            (wide, body.waist_y - 0.65 * unit),
            (wide * 0.95, body.waist_y + 0.25 * unit),
            (-wide * 0.95, body.waist_y + 0.25 * unit),
        )
    )
    canvas.fill(sash, palette.trim.base)
    canvas.contour(sash, palette.trim.line, body.ink)
    cord = body.sway(points((-wide, body.waist_y - 0.2 * unit), (wide, body.waist_y - 0.2 * unit)))
    canvas.stroke(cord, plain(palette.second.light), body.ink * 3, (0, 0))


def _ribbed(canvas: Canvas, body: Body, palette: Palette) -> None:
    """Draw a high knitted collar."""
    low, unit = body.shoulder_y, body.detail
    half = points(
        (body.neck * 1.15, low - 0.72 * unit),
        (body.neck * 1.3, low - 0.4 * unit),
        (body.neck * 1.7, low - 0.2 * unit),
    )
    collar = smooth(
        body.sway(np.concatenate([half, points((0, low + 0.05 * unit)), mirrored(half)]))
    )
    canvas.fill(collar, palette.cloth.base)
    canvas.contour(collar, palette.cloth.line, body.ink)
    for share in np.linspace(-0.85, 0.85, 9):
        rib = body.sway(
            points(
                (share * body.neck * 1.15, low - 0.66 * unit),
                (share * body.neck * 1.4, low - 0.12 * unit),
            )
        )
        canvas.stroke(rib, palette.cloth.line, body.ink * 0.7, (0.2, 0.3))


def _bare(canvas: Canvas, body: Body, palette: Palette) -> None:
    """Draw a wide neckline under straps, with a frill along it."""
    low, unit = body.shoulder_y, body.detail
    rim = smooth(
        body.sway(
            points(
                (-body.shoulder * 0.58, low - 0.2 * unit),
                (-body.shoulder * 0.45, low + 0.34 * unit),
                (0, low + 0.46 * unit),
                (body.shoulder * 0.45, low + 0.34 * unit),
                (body.shoulder * 0.58, low - 0.2 * unit),
            )
        )
    )
    neck = body.sway(
        points((body.neck * 1.3, low - 0.42 * unit), (-body.neck * 1.3, low - 0.42 * unit))
    )
    canvas.fill(np.concatenate([rim, neck]), palette.skin.base)
    for side in (-1, 1):
        throat = points(
            (body.neck, low - 0.75 * unit),
            (body.neck * 0.98, low - 0.48 * unit),
            (body.neck * 1.4, low - 0.36 * unit),
            (body.shoulder * 0.62, low - 0.2 * unit),
        )
        line = smooth(body.sway(throat * (side, 1)))
        canvas.fill(np.concatenate([line, rim[len(rim) // 2][None]]), palette.skin.base)
        canvas.stroke(line, palette.skin.line, body.ink, (0.0, 0.1))
        bone = points((0.08, -0.02), (0.24, -0.04), (0.48, -0.12)) * unit + np.array([0, low])
        canvas.stroke(smooth(body.sway(bone * (side, 1))), palette.skin.line, body.ink * 0.7)
    canvas.stroke(rim, palette.cloth.line, body.ink, (0, 0))
    for position in rim[2:-2:2]:
        frill = ellipse(
            position, (0.12 * unit * body.frame.scale, 0.10 * unit * body.frame.scale), 16
        )
        canvas.fill(frill, palette.second.base)
        canvas.contour(frill, palette.second.line, body.ink * 0.7)


def _collar(canvas: Canvas, body: Body, palette: Palette) -> None:
    """Draw a shirt's collar, placket and buttons."""
    low, unit = body.shoulder_y, body.detail
    canvas.stroke(
        body.sway(points((0, low), (0, body.hip_y))), palette.cloth.line, body.ink * 0.9, (0, 0)
    )
    for step in np.arange(0.6, 3.2, 0.6):
        canvas.fill(
            ellipse(
                body.sway(points((0.08 * unit, low + step * unit)))[0],
                (0.045 * unit * body.frame.scale,) * 2,
                14,
            ),
            palette.cloth.line,
        )
    for side in (-1, 1):
        flap = body.sway(
            points(
                (body.neck * 1.1, low - 0.5 * unit),
                (body.neck * 1.9, low - 0.2 * unit),
                (body.neck * 1.5, low + 0.36 * unit),
                (0, low + 0.04 * unit),
            )
            * (side, 1)
        )
        canvas.fill(flap, palette.cloth.light)
        canvas.contour(flap, palette.cloth.line, body.ink)


_OPENINGS = {
    "serafuku": _sailor,
    "blazer": _lapels,
    "hoodie": _hood,
    "kimono": _crossed,
    "sweater": _ribbed,
    "dress": _bare,
    "sleeveless": _bare,
    "shirt": _collar,
}
