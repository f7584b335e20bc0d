"""Draw clothes: outfits, their folds, collars and patterns."""

from dataclasses import dataclass

import numpy as np

from pipeline.drawings.body import (
    Body,
    draw_hand,
    draw_limb,
    draw_shoe,
    leg_shape,
    leg_spine,
    limb_shape,
    torso,
)
from pipeline.drawings.canvas import Canvas, Paint
from pipeline.drawings.collars import draw_bow, draw_opening
from pipeline.drawings.geometry import Points, moved, points, smooth
from pipeline.drawings.palette import Cel, Palette
from pipeline.drawings.patterns import PATTERNS, bounds, draw_pattern
from pipeline.drawings.shading import airbrush

OUTFITS = ("serafuku", "hoodie", "blazer", "dress", "kimono", "sweater", "sleeveless", "shirt")
LEGWEAR = ("thighhighs", "kneehighs", "pantyhose", "bare_legs")


@dataclass(frozen=True)
class Outfit:
    """Outfit of one character: a garment of `kind`, one of `OUTFITS`, a skirt and legwear.

    `pitch` is the pattern's, in body coordinates, and `turn` its angle in radians; `sleeve` is the
    share of the arm that is covered.
    """

    kind: str
    pattern: str | None
    pitch: float
    turn: float
    sleeve: float
    skirt_pattern: str | None
    legwear: str
    bow: bool


def choose_outfit(rng: np.random.Generator) -> Outfit:
    """Choose a garment with its pattern and sleeves, and what goes with it."""
    kind = str(rng.choice(OUTFITS))
    plain = kind in ("serafuku", "blazer") or rng.random() < 0.5
    short = {
        "serafuku": rng.choice([0.4, 0.95]),
        "dress": rng.choice([0.22, 0.35]),
        "sleeveless": 0.0,
        "shirt": rng.choice([0.4, 0.95]),
    }
    return Outfit(
        kind=kind,
        pattern=None if plain else str(rng.choice(PATTERNS)),
        pitch=rng.uniform(0.10, 0.40),
        turn=float(rng.choice([0, np.pi / 2, np.pi / 4, 0.1])),
        sleeve=float(short.get(kind, 0.95)),
        skirt_pattern=str(rng.choice(["plaid", "striped"])) if rng.random() < 0.4 else None,
        legwear=str(rng.choice(LEGWEAR)),
        bow=bool(rng.random() < 0.6),
    )


def draw_legs(
    canvas: Canvas, body: Body, outfit: Outfit, palette: Palette, rng: np.random.Generator
) -> None:
    """Draw both legs with stockings or socks, and the shoes."""
    bare_until = {"thighhighs": 0.28, "kneehighs": 0.66, "pantyhose": 0.0, "bare_legs": 1.0}
    start = bare_until[outfit.legwear]
    for side in (-1, 1):
        spine = leg_spine(body, side, rng)
        draw_shoe(canvas, body, spine, palette.trim)
        if start > 0:
            draw_limb(canvas, body, leg_shape(body, spine), palette.skin)
        if start < 1:
            stocking = leg_shape(body, spine, (start, 1.0))
            draw_limb(canvas, body, stocking, palette.second)
            edge = stocking[[0, -1]]
            canvas.stroke(edge, palette.second.line, body.ink * 1.4, (0, 0))


def draw_skirt(
    canvas: Canvas, body: Body, outfit: Outfit, palette: Palette, rng: np.random.Generator
) -> None:
    """Draw a pleated skirt, or a kimono's straight fall."""
    cel = palette.cloth if outfit.kind in ("dress", "kimono") else palette.second
    length = (
        body.foot_y - 0.6
        if outfit.kind == "kimono"
        else body.hip_y + rng.uniform(0.3, 1.7) * body.detail
    )
    flare = 0.3 if outfit.kind == "kimono" else rng.uniform(0.75, 1.3) * body.detail
    top, count = body.waist_y + 0.1, int(rng.integers(7, 12))
    shares = np.linspace(-1, 1, count * 2 + 1)
    wave = np.where(np.arange(len(shares)) % 2 == 0, 0.0, 0.12 * body.detail)
    hem = np.stack([shares * (body.hip + flare), length - 0.18 * shares**2 + wave], axis=1)
    belt = np.stack([shares * (body.waist + 0.1), np.full(len(shares), top)], axis=1)
    middle = (belt + hem) / 2 + np.stack([shares * 0.2, shares * 0], axis=1)
    columns = [
        smooth(body.sway(np.stack([belt[i], middle[i], hem[i]])), steps=5)
        for i in range(len(shares))
    ]
    edge = np.stack([column[-1] for column in columns])
    outline = np.concatenate([columns[0], edge, columns[-1][::-1]])
    canvas.fill(outline, cel.base)
    with canvas.clip(outline):
        if outfit.skirt_pattern:
            box = bounds(outline)
            draw_pattern(
                canvas, box, outfit.skirt_pattern, palette.trim.base, 0.42 * body.frame.scale, 0.0
            )
        for first, second in zip(columns[1::2], columns[2::2], strict=False):
            fold = first + (second - first) * 0.75
            canvas.fill(np.concatenate([first, fold[::-1]]), cel.shade, 0.8)
        airbrush(canvas, outline, cel, rng)
    for column in columns[1:-1]:
        canvas.stroke(column, cel.line, body.ink * 0.8, (0.6, 0.0))
    canvas.stroke(columns[0], cel.line, body.ink, (0, 0))
    canvas.stroke(columns[-1], cel.line, body.ink, (0, 0))
    canvas.stroke(edge, cel.line, body.ink, (0, 0))


def draw_top(
    canvas: Canvas, body: Body, outfit: Outfit, palette: Palette, rng: np.random.Generator
) -> None:
    """Draw the garment on the torso, with its pattern, shadow, folds and collar."""
    loose = {"hoodie": 0.28, "sweater": 0.16, "kimono": 0.22}.get(outfit.kind, 0.05) * body.detail
    shape = torso(body, loose)
    cel = palette.cloth
    canvas.fill(shape, cel.base)
    with canvas.clip(shape):
        _fabric(canvas, shape, outfit, body, palette.second.base)
        _torso_shadow(canvas, body, cel)
        airbrush(canvas, shape, cel, rng)
        _folds(canvas, body, cel, rng)
    canvas.contour(shape, cel.line, body.ink * 1.1)
    draw_opening(canvas, body, palette, outfit.kind)
    if outfit.bow and outfit.kind in ("serafuku", "shirt", "dress", "blazer"):
        draw_bow(
            canvas,
            body.sway(points((0, body.shoulder_y + 0.42 * body.detail)))[0],
            body.frame.scale * 0.34 * body.detail,
            palette.trim,
            body.ink,
        )


def draw_arm(
    canvas: Canvas,
    body: Body,
    outfit: Outfit,
    palette: Palette,
    spine: Points,
    hand: bool,
    rng: np.random.Generator,
) -> None:
    """Draw one arm along `spine`: skin, hand, then the sleeve over them with its folds and cuff."""
    cel, limb = palette.cloth, body.limb
    draw_limb(canvas, body, limb_shape(body, spine, limb, limb * 0.72), palette.skin)
    if hand:
        draw_hand(canvas, body, spine, palette.skin, rng)
    if not outfit.sleeve:
        return
    wide = {"hoodie": 1.65, "kimono": 1.8, "sweater": 1.5}.get(outfit.kind, 1.35)
    grow = {"kimono": 1.5, "dress": 1.25}.get(outfit.kind, 0.9)
    sleeve = limb_shape(body, spine, limb * wide, limb * wide * grow, (0.0, outfit.sleeve))
    draw_limb(canvas, body, sleeve, cel)
    with canvas.clip(sleeve):
        airbrush(canvas, sleeve, cel, rng)
        if outfit.pattern:
            _fabric(canvas, sleeve, outfit, body, palette.second.base)
        _sleeve_folds(canvas, body, sleeve, cel, rng)
    cuff = limb_shape(
        body, spine, limb * wide, limb * wide * grow, (max(0, outfit.sleeve - 0.09), outfit.sleeve)
    )
    canvas.fill(cuff, palette.second.base)
    canvas.contour(cuff, cel.line, body.ink * 0.9)
    canvas.stroke(sleeve[: len(sleeve) // 2], cel.line, body.ink, (0.05, 0.05))


def _sleeve_folds(
    canvas: Canvas, body: Body, sleeve: Points, cel: Cel, rng: np.random.Generator
) -> None:
    """Draw lines that run in from the outer edge of a sleeve and sag."""
    sag = points((0, 0), (0, 0.10), (0, 0.18)) * body.frame.scale * body.limb
    for share in rng.uniform(0.15, 0.95, int(rng.integers(4, 9))):
        index = int(share * (len(sleeve) // 2 - 1))
        one, other = sleeve[index], sleeve[-1 - index]
        way = np.array([[0.0], [0.5], [1.0]]) * rng.uniform(0.3, 0.7)
        canvas.stroke(
            smooth(one + (other - one) * way + sag), cel.line, body.ink * 0.8, (0.05, 0.9)
        )


def _fabric(canvas: Canvas, shape: Points, outfit: Outfit, body: Body, paint: Paint) -> None:
    if outfit.pattern:
        pitch = max(outfit.pitch * body.frame.scale, 5.0)
        draw_pattern(canvas, bounds(shape), outfit.pattern, paint, pitch, outfit.turn)


def _torso_shadow(canvas: Canvas, body: Body, cel: Cel) -> None:
    """Draw the shadow down one side and under the chest."""
    one_side = points(
        (body.chest * 0.55, body.shoulder_y - 1.0),
        (body.chest * 0.62, body.shoulder_y + 0.1),
        (body.chest * 0.78, body.chest_y),
        (body.waist * 0.5, body.waist_y),
        (body.hip * 0.7, body.hip_y + 0.2),
        (body.hip * 3, body.hip_y + 0.2),
        (body.hip * 3, body.shoulder_y - 1.0),
    )
    canvas.fill(body.sway(one_side), cel.shade, 0.8)
    low = body.chest_y
    under = points(
        (-body.chest, low + 0.1),
        (-body.chest * 0.5, low + 0.32),
        (0, low + 0.16),
        (body.chest * 0.5, low + 0.32),
        (body.chest, low + 0.1),
        (body.chest * 0.5, low + 0.52),
        (0, low + 0.3),
        (-body.chest * 0.5, low + 0.5),
    )
    canvas.fill(smooth(body.sway(under), closed=True), cel.shade, 0.8)


def _folds(canvas: Canvas, body: Body, cel: Cel, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(5, 12))):
        side = rng.choice([-1, 1])
        height = rng.uniform(body.shoulder_y + 0.4, body.hip_y)
        start = (side * body.chest * rng.uniform(0.8, 1.1), height)
        end = (side * body.chest * rng.uniform(0.1, 0.6), height + rng.normal(0.1, 0.3))
        middle = ((start[0] + end[0]) / 2, max(start[1], end[1]) + 0.05)
        line = smooth(body.sway(points(start, middle, end)))
        canvas.stroke(line, cel.line, body.ink * 0.8, (0.05, 0.9))
        if rng.random() < 0.5:
            crease = np.concatenate([line, moved(line, 0, 0.1 * body.frame.scale)[-2:0:-1]])
            canvas.fill(crease, cel.shade)
