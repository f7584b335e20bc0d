"""Draw hair: a mass behind, a cap, and locks over the forehead and beside the face."""

import numpy as np

from pipeline.drawings.canvas import Canvas
from pipeline.drawings.geometry import Points, ellipse, moved, points, smooth
from pipeline.drawings.hair_locks import LockPainter
from pipeline.drawings.hair_style import HairStyle
from pipeline.drawings.head import Head
from pipeline.drawings.palette import Cel
from pipeline.drawings.shading import airbrush

_REACH = {"short_hair": 0.95, "medium_hair": 1.55, "long_hair": 3.1, "very_long_hair": 5.0}


def draw_back_hair(
    canvas: Canvas, head: Head, style: HairStyle, cel: Cel, rng: np.random.Generator
) -> None:
    """Draw all the hair behind the head and the body."""
    painter = LockPainter(canvas, head, cel, rng)
    if style.back in _REACH:
        _hanging(painter, style, _REACH[style.back] * rng.uniform(0.9, 1.2))
    elif style.back == "twintails":
        for side in (-1, 1):
            _tail(painter, style, (side * 0.95, -0.62), side, rng.uniform(2.0, 4.2))
    elif style.back == "ponytail":
        _tail(painter, style, (-0.55 * head.facing, -1.0), -head.facing, 3.0)
    elif style.back == "double_bun":
        for side in (-1, 1):
            _bun(painter, (side * 0.82, -1.0))
        _hanging(painter, style, 0.9)
    else:
        _hanging(painter, style, 0.8)


def draw_front_hair(
    canvas: Canvas, head: Head, style: HairStyle, cel: Cel, rng: np.random.Generator
) -> None:
    """Draw the cap, the side locks and the fringe, and the hair in front of the shoulders."""
    painter = LockPainter(canvas, head, cel, rng)
    if style.back in ("braid", "low_twintails"):
        for side in (-1, 1) if style.back == "low_twintails" or rng.random() < 0.5 else (1,):
            _front_tail(painter, style, side)
    if style.sidelocks:
        for side in (-1, 1):
            _sidelock(painter, style, side)
    cap = _cap(head, style)
    canvas.fill(cap, cel.base)
    if cel.brushed:
        with canvas.clip(cap):
            airbrush(canvas, cap, cel, rng)
    canvas.stroke(cap[: len(cap) * 3 // 5], cel.line, head.ink * 1.15, (0.1, 0.1))
    for spine, width in fringe(head, style, rng):
        painter.lock(
            spine,
            width,
            0.5,
            root=0.55,
            outline=0.45,
            shine=style.shine,
        )
    if style.ahoge:
        lean = rng.choice([-1, 1])
        curve = points((0, -1.2), (0.1 * lean, -1.55), (0.35 * lean, -1.62), (0.5 * lean, -1.38))
        painter.lock(smooth(head.frame(curve)), 0.13, 0.4)


def fringe(head: Head, style: HairStyle, rng: np.random.Generator) -> list[tuple[Points, float]]:
    """Return spine (page pixels) and width of the fringe's locks, from the outside in."""
    parting = {"parted_bangs": 0.0, "swept_bangs": 0.45 * head.facing}.get(style.fringe, 0.0)
    positions = np.linspace(-0.84, 0.84, style.lock_count)
    order = np.argsort(-np.abs(positions - parting))
    spines = []
    for position in positions[order]:
        root = points((parting * 0.6 + 0.10 * position, -1.12))
        tip_x, tip_y = _tip(style.fringe, position, parting, rng)
        crown = points((position * 0.66 + parting * 0.12, -0.88), (position * 0.98, -0.38))
        bend = points(
            (position * 0.8 + tip_x * 0.2 + style.wave * rng.normal(0, 0.09), tip_y * 0.5 - 0.2)
        )
        control = np.concatenate([root, crown, bend, points((tip_x, tip_y))])
        spine = smooth(head.shifted(control, [-0.05, 0.3, 0.62, 0.70, 0.78]), steps=7)
        spines.append((spine, 1.95 / style.lock_count * rng.uniform(1.0, 1.35)))
    return spines


def _tip(
    kind: str, position: float, parting: float, rng: np.random.Generator
) -> tuple[float, float]:
    """Return the end on the forehead of the lock that grows at `position`."""
    edge = abs(position) ** 2
    if kind == "blunt_bangs":
        return position * 0.98, 0.02 + 0.1 * edge + rng.normal(0, 0.015)
    if kind == "parted_bangs":
        away = np.sign(position) or 1.0
        return position + 0.22 * away * (1 - abs(position)), -0.12 + 0.65 * abs(
            position
        ) + rng.normal(0, 0.03)
    if kind == "swept_bangs":
        return position - 0.38 * parting / 0.45 * (1 - edge), 0.02 + 0.25 * edge + rng.normal(
            0, 0.05
        )
    if kind == "hair_between_eyes":
        long = 0.36 if abs(position) < 0.15 else 0.02 + 0.28 * edge
        return position * 0.9 + rng.normal(0, 0.03), long + rng.normal(0, 0.03)
    return position + rng.normal(0, 0.14), 0.08 + 0.2 * edge + rng.normal(0, 0.09)


def _cap(head: Head, style: HairStyle) -> Points:
    """Return the hair on the skull: a dome down to the temples, open over the face."""
    wide, tall = 0.97 * style.volume, 1.30 * style.volume
    dome = [
        (-wide * 0.90, 0.12),
        (-wide, -0.3),
        (-wide * 0.86, -0.74),
        (-wide * 0.5, -tall * 0.88),
        (0.0, -tall),
        (wide * 0.5, -tall * 0.88),
        (wide * 0.86, -0.74),
        (wide, -0.3),
        (wide * 0.90, 0.12),
    ]
    brow = [
        (0.76, -0.2),
        (0.70, -0.4),
        (0.4, -0.62),
        (0.0, -0.7),
        (-0.4, -0.62),
        (-0.70, -0.4),
        (-0.76, -0.2),
    ]
    depths = [0.0] * len(dome) + [0.15, 0.4, 0.55, 0.6, 0.55, 0.4, 0.15]
    return smooth(head.shifted(points(*dome, *brow), depths), closed=True, steps=8)


def _hanging(painter: LockPainter, style: HairStyle, reach: float) -> None:
    """Draw loose hair: overlapping locks from the crown down to `reach`, the outermost last."""
    head, rng = painter.head, painter.rng
    count = 9 + 2 * int(rng.integers(0, 4))
    spread = 0.86 * style.volume + 0.10 * min(reach, 3.0)
    positions = np.linspace(-1, 1, count)
    dome = smooth(
        points(
            (-0.9, 0.7),
            (-1.0, -0.3),
            (-0.6, -1.08),
            (0, -1.27),
            (0.6, -1.08),
            (1.0, -0.3),
            (0.9, 0.7),
        )
        * (style.volume * 0.98, style.volume * 0.99)
    )
    painter.canvas.fill(head.frame(dome), painter.cel.shade)
    for position in positions[np.argsort(np.abs(positions))]:
        end = reach * (1 - 0.10 * abs(position) + rng.normal(0, 0.04))
        curl = style.wave * 0.34 * np.sin(np.array([1.2, 2.6, 4.2, 5.6]) + position * 3)
        steps = np.array([0.25, 0.5, 0.78, 1.0])
        x = position * (0.82 + (spread - 0.82) * np.sqrt(steps)) + curl * steps
        x += style.wind * reach * steps**2 - (0.16 * position * (reach < 1.3)) * steps**3
        y = -0.35 + (end + 0.35) * steps
        control = np.concatenate(
            [points((position * 0.42, -0.9), (position * 0.84, -0.4)), np.stack([x, y], 1)]
        )
        painter.lock(
            smooth(head.frame(control), steps=8),
            2.9 / count * rng.uniform(1.1, 1.6),
            0.62,
            shaded=abs(position) < 0.55,
            root=0.5,
        )


def _tail(
    painter: LockPainter, style: HairStyle, root: tuple[float, float], side: float, reach: float
) -> None:
    """Draw a bound tail that swings out from `root` and falls, and the hair drawn tight to it."""
    head, rng = painter.head, painter.rng
    dome = ellipse((0, -0.28), (0.97 * style.volume, 0.99 * style.volume))
    painter.canvas.fill(head.frame(dome), painter.cel.shade)
    out = rng.uniform(0.35, 0.75)
    for order, spread in enumerate(rng.permutation(np.linspace(-1, 1, 7))):
        end = reach * rng.uniform(0.8, 1.05)
        control = points(
            root,
            (root[0] + side * (out * 0.8 + 0.1 * spread), root[1] - 0.12),
            (root[0] + side * (out + 0.25 + 0.22 * spread), root[1] + 0.3 * end),
            (
                root[0] + side * (out + 0.1 + 0.30 * spread) + style.wave * 0.2 + style.wind,
                root[1] + 0.66 * end,
            ),
            (root[0] + side * (out * 0.7 + 0.2 * spread) + style.wind * 2.5, root[1] + end),
        )
        painter.lock(
            smooth(head.frame(control), steps=9),
            rng.uniform(0.42, 0.62),
            0.55,
            shaded=order < 2,
            root=0.35,
        )


def _bun(painter: LockPainter, centre: tuple[float, float]) -> None:
    head, cel = painter.head, painter.cel
    disc = head.frame(ellipse(centre, (0.42, 0.40)))
    painter.canvas.fill(disc, cel.base)
    with painter.canvas.clip(disc):
        painter.canvas.fill(
            head.frame(ellipse((centre[0] + 0.12, centre[1] + 0.2), (0.4, 0.32))), cel.shade
        )
    painter.canvas.contour(disc, cel.line, head.ink)
    for size in (0.72, 0.42):
        swirl = head.frame(ellipse(centre, (0.42 * size, 0.40 * size))[5:32])
        painter.canvas.stroke(swirl, cel.line, head.ink * 0.7, (0.5, 0.5))


def _sidelock(painter: LockPainter, style: HairStyle, side: int) -> None:
    """Draw a lock in front of the ear, to the chin or the chest."""
    head, rng = painter.head, painter.rng
    end = (
        rng.uniform(0.7, 1.15)
        if style.back in ("short_hair", "double_bun")
        else rng.uniform(1.0, 1.9)
    )
    for inward, width in ((0.0, 0.30), (0.10, 0.20)):
        control = points(
            (side * 0.55, -0.95),
            (side * (0.93 - inward), -0.35),
            (side * (0.93 - inward), 0.25),
            (side * (0.84 - inward) + style.wave * 0.14, 0.5 * end + 0.2),
            (side * (0.72 - inward) + style.wind * 0.4, end - inward * 2),
        )
        spine = smooth(head.shifted(control, [0.0, 0.12, 0.2, 0.22, 0.2]), steps=8)
        painter.lock(spine, width, 0.55, root=0.6, outline=0.15)


def _front_tail(painter: LockPainter, style: HairStyle, side: int) -> None:
    """Draw a braid, or a low tail, over one shoulder."""
    head, rng = painter.head, painter.rng
    way = smooth(
        points(
            (side * 0.78, 0.75),
            (side * 0.98, 1.35),
            (side * 0.86, 2.2),
            (side * 0.8 + style.wind, 3.0),
        ),
        steps=5,
    )
    if style.back == "low_twintails":
        for spread in (-0.1, 0.1, 0.0):
            painter.lock(
                smooth(head.frame(moved(way[::4], spread, rng.normal(0, 0.1)))), 0.42, 0.5, root=0.5
            )
        return
    ends = way[::2]
    for index, (x, y) in enumerate(ends[:-1]):
        size = 0.2 * (1 - 0.4 * index / len(ends))
        for lean in (1, -1):
            knot = smooth(
                points(
                    (x - lean * 0.02, y + 0.22),
                    (x + lean * size, y + 0.08),
                    (x + lean * size * 0.9, y - 0.1),
                    (x - lean * size * 0.3, y - 0.02),
                ),
                closed=True,
            )
            painter.canvas.fill(
                head.frame(knot), painter.cel.base if lean == 1 else painter.cel.shade
            )
            painter.canvas.contour(head.frame(knot), painter.cel.line, head.ink * 0.85)
    tip = points(ends[-1] - (0, 0.1), ends[-1] + (0.03, 0.2), ends[-1] + (0.0, 0.5))
    painter.lock(smooth(head.frame(tip)), 0.26, 0.4)
