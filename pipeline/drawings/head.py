"""Draw the head: its turn, the face's contour, and all of the face except the eyes.

Head coordinates: the origin is the middle of the skull, half a face is about 0.8 wide, the
chin is near y = 1 and the top of the skull near y = -1.2.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pipeline.drawings.canvas import Canvas
from pipeline.drawings.geometry import Frame, Points, ellipse, points, smooth
from pipeline.drawings.palette import WHITE, Palette, mix
from pipeline.drawings.shading import airbrush

MOUTHS = ("smile", "open_mouth", "closed_mouth", "frown", ":3", ":o", "grin", "wavy_mouth")

# Control points of the face's contour on one side, and samples of the curve to each of them.
_SIDE_POINTS = 6
_STEPS = 9


@dataclass(frozen=True)
class Head:
    """Position, turn and proportions of a head. `yaw` and `pitch` are radians, small."""

    frame: Frame
    yaw: float
    pitch: float
    jaw: float
    chin: float
    cheek: float
    ink: float

    @property
    def facing(self) -> float:
        """Side that the head turns to, -1 or 1; 1 where it looks ahead."""
        return float(np.sign(self.yaw)) or 1.0

    def surface(self, x: ArrayLike, y: ArrayLike) -> Points:
        """Return points of the face `(N, 2)`, as seen from the front, in page pixels."""
        across, down = np.broadcast_arrays(np.atleast_1d(x), np.atleast_1d(y))
        depth = 0.82 * np.sqrt(np.clip(1 - (across / 1.0) ** 2, 0, None))
        turned = across * np.cos(self.yaw) + depth * np.sin(self.yaw)
        return self.frame(np.stack([turned, down + self.pitch * depth], axis=1))

    def shifted(self, shape: Points, depth: ArrayLike) -> Points:
        """Return `shape`, head coordinates, moved as parts at `depth` in front of the axis move."""
        near = np.broadcast_to(np.asarray(depth), len(shape))
        move = np.stack([near * np.sin(self.yaw), near * self.pitch], axis=1)
        return self.frame(shape + move)


def choose_head(rng: np.random.Generator, frame: Frame, ink: float, chibi: bool) -> Head:
    """Choose a head at `frame`; a chibi's is wider and rounder below."""
    return Head(
        frame=frame,
        yaw=float(rng.choice([-1, 1]) * rng.beta(1.3, 1.5) * 0.5),
        pitch=float(np.clip(rng.normal(0, 0.07), -0.13, 0.13)),
        jaw=rng.uniform(0.9, 1.06) * (1.12 if chibi else 1.0),
        chin=rng.uniform(0.96, 1.08) * (0.86 if chibi else 1.0),
        cheek=rng.uniform(0.79, 0.85) * (1.1 if chibi else 1.0),
        ink=ink,
    )


def face_contour(head: Head) -> Points:
    """Return the closed outline of the face with the forehead, in page pixels."""
    near = 1 if head.yaw < 0 else -1
    control, depths = [], []
    for side in (1, -1):
        # The far cheek is the bulge that a three-quarter view is known by.
        far = abs(head.yaw) * (1.0 if side != near else 0.0)
        half = [
            (0.78, -0.45, 0.05),
            (head.cheek - 0.10 * far, 0.02, 0.08),
            (head.cheek - 0.01 - 0.02 * far, 0.36 * head.chin, 0.14),
            (0.67 * head.jaw - 0.05 * far, 0.68 * head.chin, 0.24),
            (0.38 * head.jaw - 0.08 * far, 0.91 * head.chin, 0.36),
            (0.12 * head.jaw, 1.03 * head.chin, 0.46),
        ]
        ordered = half if side == 1 else half[::-1]
        control += [(side * x, y) for x, y, _ in ordered]
        depths += [depth for *_, depth in ordered]
    control += [(-0.55, -0.95), (0.0, -1.12), (0.55, -0.95)]
    depths += [0.0, 0.0, 0.0]
    return smooth(head.shifted(points(*control), depths), closed=True, steps=_STEPS)


def draw_face(canvas: Canvas, head: Head, palette: Palette, rng: np.random.Generator) -> Points:
    """Draw the face's skin, its shadow side and its line; return the contour."""
    contour = face_contour(head)
    scale = head.frame.scale
    canvas.fill(contour, palette.skin.base)
    with canvas.clip(contour):
        side = -np.sign(head.yaw) or 1.0
        edge = head.surface(side * np.array([0.72, 0.70, 0.5, 0.2]), [-0.5, 0.35, 0.75, 1.0])
        beyond = head.frame([(side * 0.1, 1.6), (side * 2.0, 1.2), (side * 2.0, -0.6)])
        canvas.fill(np.concatenate([smooth(edge), beyond]), palette.skin.shade)
        airbrush(canvas, contour, palette.skin, rng)
    jaw_line = contour[: 2 * _SIDE_POINTS * _STEPS]
    canvas.stroke(jaw_line, palette.skin.line, head.ink * max(1.0, scale / 260), (0.12, 0.12))
    return contour


def draw_ear(canvas: Canvas, head: Head, palette: Palette, side: int) -> None:
    """Draw one ear, to be covered at its root by the face, which is drawn later."""
    outline = points((0.78, 0.12), (0.93, 0.02), (1.0, 0.16), (0.94, 0.38), (0.82, 0.52))
    shape = smooth(head.shifted(outline * (side, 1), -0.25))
    canvas.fill(shape, palette.skin.base)
    canvas.stroke(shape, palette.skin.line, head.ink, (0.1, 0.1))
    fold = smooth(head.shifted(points((0.84, 0.16), (0.92, 0.14), (0.9, 0.34)) * (side, 1), -0.25))
    canvas.fill(fold, palette.skin.shade)
    canvas.stroke(fold, palette.skin.line, head.ink * 0.6)


def draw_blush(
    canvas: Canvas, head: Head, palette: Palette, rng: np.random.Generator, strength: float
) -> None:
    """Draw soft red on the cheeks, sometimes hatched."""
    scale = head.frame.scale
    hatched = palette.monochrome or rng.random() < 0.5
    for side in (-1, 1):
        centre = head.surface(side * 0.47, 0.62)[0]
        if not palette.monochrome:
            canvas.glow(centre, (0.27 * scale, 0.15 * scale), palette.blush, strength)
        if hatched:
            for step in (-1, 0, 1):
                line = head.surface(
                    side * 0.47 + step * 0.075 + np.array([0.02, 0.0, -0.025]), [0.56, 0.61, 0.67]
                )
                canvas.stroke(smooth(line), palette.blush, head.ink * 0.8)


def draw_nose(canvas: Canvas, head: Head, palette: Palette, rng: np.random.Generator) -> None:
    """Draw a nose as anime has it: a point, a short line, or a small shadow."""
    lean = head.facing
    kind = rng.integers(3)
    if kind == 0:
        line = head.surface(np.array([0.0, 0.025, 0.0]) * lean, [0.50, 0.545, 0.56])
        canvas.stroke(smooth(line), palette.skin.line, head.ink * 0.9)
    elif kind == 1:
        side = head.surface(np.array([0.03, 0.05, -0.03]) * lean, [0.47, 0.56, 0.575])
        canvas.fill(side, palette.skin.shade)
        canvas.stroke(side[1:], palette.skin.line, head.ink * 0.7, (0.4, 0.4))
    else:
        tip = head.surface(0.0, 0.55)[0]
        canvas.fill(ellipse(tip, (0.014 * head.frame.scale,) * 2, 12), palette.skin.line)
    if not palette.monochrome and rng.random() < 0.4:
        bridge = head.surface(0.0, 0.49)[0]
        canvas.fill(ellipse(bridge, (head.ink, head.ink * 1.2), 12), WHITE)


def draw_mouth(
    canvas: Canvas, head: Head, palette: Palette, kind: str, rng: np.random.Generator
) -> None:
    """Draw the mouth named `kind`, one of `MOUTHS`."""
    if kind in ("open_mouth", ":o", "grin"):
        _open_mouth(canvas, head, palette, kind, rng)
        return
    across, down = {
        "smile": ((-0.16, -0.08, 0.08, 0.16), (0.755, 0.80, 0.80, 0.755)),
        "frown": ((-0.12, -0.05, 0.05, 0.12), (0.81, 0.775, 0.775, 0.81)),
        "closed_mouth": ((-0.07, 0.0, 0.07), (0.785, 0.795, 0.785)),
        ":3": ((-0.15, -0.08, 0.0, 0.08, 0.15), (0.755, 0.81, 0.76, 0.81, 0.755)),
        "wavy_mouth": ((-0.15, -0.09, -0.03, 0.03, 0.09, 0.15), (0.8, 0.77, 0.8, 0.77, 0.8, 0.77)),
    }[kind]
    width = rng.uniform(0.8, 1.2)
    line = smooth(head.surface(np.array(across) * width, np.array(down)))
    canvas.stroke(line, palette.skin.line, head.ink * 1.1, (0.25, 0.25))
    if rng.random() < 0.6:
        lip = head.surface([-0.05, 0.05], [0.865, 0.865])
        canvas.stroke(lip, palette.skin.line, head.ink * 0.5, (0.5, 0.5))


def _open_mouth(
    canvas: Canvas, head: Head, palette: Palette, kind: str, rng: np.random.Generator
) -> None:
    """Draw a mouth with its dark inside, tongue and teeth."""
    half = rng.uniform(0.13, 0.22) if kind != ":o" else 0.06
    drop = {"open_mouth": rng.uniform(0.12, 0.22), ":o": 0.10, "grin": 0.09}[kind]
    lift = 0.0 if kind == ":o" else 0.025
    control = points(
        (-half, 0.745 - lift),
        (-half * 0.4, 0.755),
        (half * 0.4, 0.755),
        (half, 0.745 - lift),
        (half * 0.62, 0.745 + drop * 0.75),
        (0, 0.755 + drop),
        (-half * 0.62, 0.745 + drop * 0.75),
    )
    shape = smooth(head.surface(control[:, 0], control[:, 1]), closed=True)
    inside = (110, 110, 110) if palette.monochrome else mix((150, 30, 45), (90, 20, 30), 0.4)
    canvas.fill(shape, WHITE if kind == "grin" else inside)
    if kind == "open_mouth":
        tongue = (190, 190, 190) if palette.monochrome else (238, 120, 124)
        with canvas.clip(shape):
            low = head.surface(0.0, 0.77 + drop)[0]
            reach = head.frame.scale
            canvas.fill(ellipse(low, (half * 0.75 * reach, drop * 0.5 * reach)), tongue)
            if rng.random() < 0.6:
                teeth = head.surface([-half, half, half * 0.8, -half * 0.8], [0.7, 0.7, 0.79, 0.79])
                canvas.fill(teeth, WHITE)
    canvas.contour(shape, palette.skin.line, head.ink)
    if kind == "open_mouth" and rng.random() < 0.35:
        fang = head.surface([half * 0.45, half * 0.8, half * 0.6], [0.752, 0.74, 0.80])
        canvas.fill(fang, WHITE)
        canvas.stroke(fang[[0, 2, 1]], palette.skin.line, head.ink * 0.6, (0.2, 0.2))
