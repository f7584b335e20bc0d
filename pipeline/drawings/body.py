"""Draw bodies: their proportions, and the skin of neck, arms, hands and legs.

Body coordinates have the origin and the unit of the head's, but hardly turn with its tilt.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.drawings.canvas import Canvas
from pipeline.drawings.geometry import (
    Frame,
    Points,
    mirrored,
    moved,
    points,
    rectangle,
    ribbon,
    sides,
    smooth,
)
from pipeline.drawings.palette import Cel

ARMS = ("down", "behind", "raised", "chest", "hips", "open")


@dataclass(frozen=True)
class Body:
    """Proportions of one body in body coordinates, and their `frame` on the page.

    Names with `_y` are heights; `neck`, `shoulder`, `chest`, `waist` and `hip` are half widths, and
    `limb` is the width of an arm. `detail` is the size of its clothes' details, 1 for a grown body.
    `lean` moves the hips sideways; `ink` is the width of lines, page pixels.
    """

    frame: Frame
    neck: float
    shoulder: float
    shoulder_y: float
    chest: float
    chest_y: float
    waist: float
    waist_y: float
    hip: float
    hip_y: float
    knee_y: float
    foot_y: float
    limb: float
    detail: float
    lean: float
    ink: float

    def sway(self, shape: Points) -> Points:
        """Return `shape` in page pixels, shoulders moved against hips by the pose's lean."""
        down = (shape[:, 1] - self.shoulder_y) / (self.hip_y - self.shoulder_y)
        bend = self.lean * np.sin(np.clip(down, 0, 2) * np.pi / 2)
        return self.frame(shape + np.stack([bend, np.zeros(len(shape))], axis=1))


_GROWN = {
    "neck": 0.25,
    "shoulder": 1.04,
    "shoulder_y": 1.70,
    "chest": 0.80,
    "chest_y": 2.6,
    "waist": 0.64,
    "waist_y": 3.7,
    "hip": 0.98,
    "hip_y": 4.8,
    "knee_y": 7.4,
    "foot_y": 10.4,
    "limb": 0.40,
    "detail": 1.0,
}
_CHIBI = {
    "neck": 0.2,
    "shoulder": 0.62,
    "shoulder_y": 1.25,
    "chest": 0.55,
    "chest_y": 1.6,
    "waist": 0.52,
    "waist_y": 2.05,
    "hip": 0.66,
    "hip_y": 2.5,
    "knee_y": 3.0,
    "foot_y": 3.6,
    "limb": 0.26,
    "detail": 0.56,
}


def choose_body(rng: np.random.Generator, frame: Frame, ink: float, chibi: bool) -> Body:
    """Choose a body of about six heads, or of two and a half for a chibi."""
    measures = dict(_CHIBI if chibi else _GROWN)
    build = rng.uniform(0.9, 1.12)
    for part in ("shoulder", "chest", "waist", "hip"):
        measures[part] *= build
    return Body(frame=frame, lean=float(rng.normal(0, 0.12)), ink=ink, **measures)


def torso(body: Body, ease: float = 0.0) -> Points:
    """Return the closed outline from the neck's base to the hips, `ease` wider than the body."""
    slope = body.shoulder_y - 0.22 * (body.shoulder_y - 0.9)
    half = points(
        (body.neck * 0.95, slope - 0.12),
        (body.shoulder * 0.62, slope + 0.03),
        (body.shoulder * 0.93 + ease * 0.4, body.shoulder_y + 0.02),
        (body.chest + ease, body.chest_y),
        (body.waist + ease, body.waist_y),
        (body.hip + ease, body.hip_y),
    )
    return smooth(body.sway(np.concatenate([half, mirrored(half)])), closed=True, steps=7)


def draw_neck(canvas: Canvas, body: Body, skin: Cel, chin: Points) -> None:
    """Draw the neck and the upper chest, with the shadow that the chin throws."""
    low = body.shoulder_y
    half = points(
        (body.neck, 0.6),
        (body.neck * 0.95, low - 0.42),
        (body.neck * 1.5, low - 0.22),
        (body.shoulder * 0.95, low + 0.05),
        (body.chest, body.chest_y),
    )
    start = body.frame(half)
    shape = np.concatenate([smooth(start), smooth(body.frame(mirrored(half)))])
    canvas.fill(shape, skin.base)
    with canvas.clip(shape):
        drop = 0.06 * body.frame.scale, 0.20 * body.frame.scale
        canvas.fill(moved(chin, *drop), skin.shade)
    for side in (-1, 1):
        canvas.stroke(smooth(body.frame(half[:4] * (side, 1))), skin.line, body.ink, (0.0, 0.1))
        if body.detail < 1:
            continue
        bone = body.frame(
            points((0.10, low - 0.02), (0.3, low - 0.08), (0.62, low - 0.13)) * (side, 1)
        )
        canvas.stroke(smooth(bone), skin.line, body.ink * 0.7, (0.4, 0.6))


def arm_spine(body: Body, pose: str, side: int, rng: np.random.Generator) -> Points:
    """Return shoulder, both sides of the elbow and wrist, `(4, 2)` in body coordinates."""
    reach = (body.hip_y - body.shoulder_y) * 0.52
    shoulder = (body.shoulder * 0.84, body.shoulder_y + 0.30 * body.detail)
    elbow, wrist = {
        "down": ((0.22, 1.0), (0.28, 1.95)),
        "behind": ((0.28, 0.95), (-0.25, 1.6)),
        "raised": ((0.55, 0.55), (0.62, -0.45)),
        "chest": ((0.24, 0.95), (-0.42, 0.50)),
        "hips": ((0.62, 0.75), (0.02, 1.25)),
        "open": ((0.55, 0.75), (1.1, 1.2)),
    }[pose]
    jitter = rng.normal(0, 0.05, (2, 2))
    bends = (np.array([elbow, wrist]) + jitter) * reach + shoulder
    start, bend, end = np.array([shoulder, *bends])
    above, below = bend * 0.68 + start * 0.32, bend * 0.68 + end * 0.32
    return np.stack([start, above, below, end]) * (side, 1.0)


def limb_shape(
    body: Body, spine: Points, start: float, end: float, span: tuple[float, float] = (0.0, 1.0)
) -> Points:
    """Return the outline of a limb over `span` of `spine`, `start` to `end` head units wide."""
    curve = smooth(body.sway(spine), steps=12)
    part = _slice_of(curve, span)
    round_top = np.sqrt(np.clip(1 - (1 - np.linspace(0, 9, len(curve))) ** 2, 0.02, 1))
    round_top[len(curve) // 9 :] = 1.0
    width = np.linspace(start, end, len(curve)) * round_top * body.frame.scale
    return ribbon(curve[part], width[part])


def _slice_of(curve: Points, span: tuple[float, float]) -> slice:
    """Return the indices of `curve` between two shares of its length, both included."""
    first, last = (round(share * (len(curve) - 1)) for share in span)
    return slice(first, last + 1)


def draw_limb(canvas: Canvas, body: Body, shape: Points, cel: Cel) -> None:
    """Draw a limb's fill, the shadow along one side of it, and its line."""
    half = len(shape) // 2
    one, other = shape[:half], shape[half:][::-1]
    for index in range(half - 1):
        # Piece by piece: at a sharp elbow the whole outline crosses itself and would get a hole.
        piece = slice(index, index + 2)
        canvas.fill(np.concatenate([one[piece], other[piece][::-1]]), cel.base)
    middle = other + (one - other) * 0.38
    canvas.fill(np.concatenate([middle, other[::-1]]), cel.shade)
    canvas.stroke(one, cel.line, body.ink, (0.05, 0.05))
    canvas.stroke(other, cel.line, body.ink, (0.05, 0.05))


def draw_hand(
    canvas: Canvas, body: Body, spine: Points, cel: Cel, rng: np.random.Generator
) -> None:
    """Draw a hand at the end of an arm's `spine`: a palm, four fingers and a thumb."""
    way = spine[-1] - spine[-2]
    angle = float(np.arctan2(way[1], way[0]))
    wrist = body.sway(spine[-1:])[0]
    size = body.limb * body.frame.scale * 0.62
    side = float(np.sign(spine[0, 0]))
    own = Frame(wrist[0], wrist[1], size, angle)
    spread = rng.uniform(0.05, 0.2)
    thumb = own(points((0.1, -0.3 * side), (0.55, -0.72 * side), (0.95, -0.78 * side)))
    _finger(canvas, smooth(thumb), 0.30 * size, cel, body.ink)
    palm = own(
        points((-0.1, -0.40), (0.55, -0.52), (0.95, -0.42), (0.95, 0.42), (0.55, 0.5), (-0.1, 0.40))
    )
    canvas.fill(smooth(palm, closed=True), cel.base)
    for index, position in enumerate(np.array([-0.36, -0.12, 0.12, 0.36])):
        length = (1.72, 1.95, 1.9, 1.6)[index if side > 0 else 3 - index]
        tip = position * (1 + spread * 3)
        finger = own(
            points((0.6, position), (1.2, position + (tip - position) * 0.5), (length, tip))
        )
        _finger(canvas, smooth(finger), 0.27 * size, cel, body.ink)
    edge, outer = sides(own(points((-0.15, 0), (0.8, 0))), 0.86 * size)
    for line in (edge, outer):
        canvas.stroke(line, cel.line, body.ink, (0.2, 0.3))


def _finger(canvas: Canvas, spine: Points, width: float, cel: Cel, ink: float) -> None:
    profile = width * np.sqrt(np.clip(1.02 - np.linspace(0, 1, len(spine)) ** 6, 0, 1))
    left, right = sides(spine, profile)
    canvas.fill(np.concatenate([left, right[::-1]]), cel.base)
    start = len(spine) // 4
    canvas.stroke(
        np.concatenate([left[start:], right[start:][::-1]]), cel.line, ink * 0.8, (0.1, 0.1)
    )


def leg_spine(body: Body, side: int, rng: np.random.Generator) -> Points:
    """Return hip, mid-thigh, knee and ankle of one leg, `(4, 2)` in body coordinates."""
    apart = body.hip * 0.5
    knee = rng.normal(0, 0.08)
    return points(
        (side * apart, body.hip_y - 0.2),
        (side * (apart + 0.02) + knee * 0.5, (body.hip_y + body.knee_y) / 2),
        (side * (apart - 0.06) + knee, body.knee_y),
        (side * (apart - 0.04) + knee * 0.6, body.foot_y - 0.25),
    )


def leg_shape(body: Body, spine: Points, span: tuple[float, float] = (0.0, 1.0)) -> Points:
    """Return the outline of one leg over `span` of its length: thigh, knee, calf, ankle."""
    curve = smooth(body.sway(spine), steps=10)
    along = np.linspace(0, 1, len(curve))
    width = np.interp(along, [0, 0.3, 0.62, 0.78, 1.0], [2.2, 2.0, 1.3, 1.4, 0.74])
    part, scale = _slice_of(curve, span), body.limb * body.frame.scale
    return ribbon(curve[part], width[part] * scale)


def draw_shoe(canvas: Canvas, body: Body, spine: Points, cel: Cel) -> None:
    """Draw a shoe seen from the front and above, under an ankle."""
    x, y = spine[-1]
    size = body.limb * 0.62
    outline = points(
        (-0.62, -0.25),
        (0.62, -0.25),
        (0.85, 0.5),
        (0.7, 1.05),
        (0, 1.25),
        (-0.7, 1.05),
        (-0.85, 0.5),
    )
    shape = smooth(body.sway(outline * size + (x, y)), closed=True)
    canvas.fill(shape, cel.base)
    with canvas.clip(shape):
        canvas.fill(body.sway(rectangle(-1, 0.7, 1, 2) * size + (x, y)), cel.shade)
    canvas.contour(shape, cel.line, body.ink)
    strap = body.sway(points((-0.72, 0.25), (0, 0.42), (0.72, 0.25)) * size + (x, y))
    canvas.stroke(smooth(strap), cel.line, body.ink, (0.1, 0.1))
