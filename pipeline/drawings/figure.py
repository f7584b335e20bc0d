"""Draw one character, from the hair behind to the hat on top."""

from dataclasses import dataclass

import numpy as np

from pipeline.drawings.accessories import AT_THE_SIDE, ON_TOP, draw_accessory
from pipeline.drawings.body import ARMS, Body, arm_spine, choose_body, draw_neck
from pipeline.drawings.canvas import Canvas
from pipeline.drawings.clothes import (
    Outfit,
    choose_outfit,
    draw_arm,
    draw_legs,
    draw_skirt,
    draw_top,
)
from pipeline.drawings.eyes import EXPRESSIONS, choose_eyes, draw_brows, draw_eyes
from pipeline.drawings.geometry import Frame, Points, rectangle
from pipeline.drawings.hair import draw_back_hair, draw_front_hair, fringe
from pipeline.drawings.hair_style import HairStyle, choose_hair
from pipeline.drawings.head import (
    MOUTHS,
    Head,
    choose_head,
    draw_blush,
    draw_ear,
    draw_face,
    draw_mouth,
    draw_nose,
    face_contour,
)
from pipeline.drawings.palette import Palette


@dataclass(frozen=True)
class Placement:
    """Placement of a character: the skull's middle and the head's unit `scale`, page pixels.

    `lean` turns all of it and `tilt` mostly the head, radians; `ink` is the width of lines, page
    pixels. A `full` one has legs.
    """

    x: float
    y: float
    scale: float
    tilt: float
    ink: float
    chibi: bool = False
    full: bool = False
    lean: float = 0.0


def draw_figure(
    canvas: Canvas, placement: Placement, palette: Palette, rng: np.random.Generator
) -> set[str]:
    """Draw a character chosen by `rng`; return the tags that describe it."""
    frame = Frame(placement.x, placement.y, placement.scale, placement.lean + placement.tilt)
    head = choose_head(rng, frame, placement.ink, placement.chibi)
    upright = Frame(
        placement.x, placement.y, placement.scale, placement.lean + placement.tilt * 0.25
    )
    body = choose_body(rng, upright, placement.ink, placement.chibi)
    style, outfit = choose_hair(rng), choose_outfit(rng)
    draw_back_hair(canvas, head, style, palette.hair, rng)
    _draw_body(canvas, body, head, outfit, palette, placement.full, rng)
    tags = _draw_head(canvas, head, style, palette, placement.chibi, rng)
    return tags | _tags(style, outfit, palette, placement)


def _draw_body(
    canvas: Canvas,
    body: Body,
    head: Head,
    outfit: Outfit,
    palette: Palette,
    full: bool,
    rng: np.random.Generator,
) -> None:
    """Draw neck, legs, clothes and arms; arms behind the back go under the clothes."""
    pose = str(rng.choice(ARMS, p=[0.3, 0.2, 0.12, 0.14, 0.12, 0.12]))
    spines = {side: arm_spine(body, pose, side, rng) for side in (-1, 1)}
    if pose == "raised":
        spines[1] = arm_spine(body, "down", 1, rng)
    if full:
        draw_legs(canvas, body, outfit, palette, rng)
    draw_neck(canvas, body, palette.skin, face_contour(head))
    arms_under = pose in ("behind", "open")
    if arms_under:
        for spine in spines.values():
            draw_arm(canvas, body, outfit, palette, spine, pose == "open", rng)
    top_over_skirt = outfit.kind in ("hoodie", "sweater")
    for draw in (draw_skirt, draw_top) if top_over_skirt else (draw_top, draw_skirt):
        draw(canvas, body, outfit, palette, rng)
    if not arms_under:
        for spine in spines.values():
            draw_arm(canvas, body, outfit, palette, spine, True, rng)


def _draw_head(
    canvas: Canvas,
    head: Head,
    style: HairStyle,
    palette: Palette,
    chibi: bool,
    rng: np.random.Generator,
) -> set[str]:
    expression = str(rng.choice(EXPRESSIONS, p=[0.72, 0.12, 0.09, 0.07]))
    mouth = str(rng.choice(MOUTHS, p=[0.28, 0.24, 0.16, 0.08, 0.05, 0.07, 0.06, 0.06]))
    eyes = choose_eyes(rng, chibi, expression)
    for side in (-1, 1):
        draw_ear(canvas, head, palette, side)
    contour = draw_face(canvas, head, palette, rng)
    _hair_shadow(canvas, head, style, palette, contour, rng)
    blush = float(rng.beta(1.2, 1.5))
    draw_blush(canvas, head, palette, rng, blush * 0.75)
    draw_nose(canvas, head, palette, rng)
    draw_mouth(canvas, head, palette, mouth, rng)
    draw_eyes(canvas, head, palette, eyes, expression, rng)
    draw_brows(canvas, head, palette, float(rng.normal(0, 0.5)))
    worn = _choose_worn(rng)
    if "glasses" in worn:
        draw_accessory(canvas, head, palette, "glasses", rng)
    draw_front_hair(canvas, head, style, palette.hair, rng)
    for kind in worn:
        if kind != "glasses":
            draw_accessory(canvas, head, palette, kind, rng)
    tags = {*worn, expression, mouth} - {"open"}
    return tags | ({"blush"} if blush > 0.45 else set())


def _choose_worn(rng: np.random.Generator) -> list[str]:
    """Return at most one accessory per position on the head, so that none overlaps another."""
    worn = ["glasses"] if rng.random() < 0.16 else []
    for share, kinds in ((0.4, ON_TOP), (0.4, AT_THE_SIDE)):
        if rng.random() < share:
            worn.append(str(rng.choice(kinds)))
    return worn


def _hair_shadow(
    canvas: Canvas,
    head: Head,
    style: HairStyle,
    palette: Palette,
    contour: Points,
    rng: np.random.Generator,
) -> None:
    """Draw the fringe's shadow on the forehead: locks like the fringe's, a little lower."""
    drop = np.array([0.03, rng.uniform(0.06, 0.13)]) * head.frame.scale
    with canvas.clip(contour):
        canvas.fill(head.frame(rectangle(-1, -1.2, 1, -0.36)), palette.skin.shade)
        for spine, width in fringe(head, style, rng):
            along = np.linspace(0, 1, len(spine))
            profile = width * head.frame.scale * np.clip((1 - along) * 2, 0, 1)
            half = np.stack([profile / 2, profile * 0], axis=1)
            canvas.fill(
                np.concatenate([spine - half, (spine + half)[::-1]]) + drop, palette.skin.shade
            )


def _tags(style: HairStyle, outfit: Outfit, palette: Palette, placement: Placement) -> set[str]:
    tags = {style.back, style.fringe, outfit.kind}
    if not palette.monochrome:
        tags |= {f"{palette.hair_name}_hair", f"{palette.eye_name}_eyes"}
    if style.ahoge:
        tags.add("ahoge")
    if style.sidelocks:
        tags.add("sidelocks")
    if outfit.pattern:
        tags.add(f"{outfit.pattern}_clothes" if "print" not in outfit.pattern else outfit.pattern)
    if placement.chibi:
        tags.add("chibi")
    if placement.full:
        tags |= {"full_body", outfit.legwear}
    return tags
