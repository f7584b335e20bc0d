"""Compose pages: portraits, full figures, pairs, landscapes and manga pages."""

from itertools import pairwise

import numpy as np
from PIL import Image

from pipeline.drawings.backgrounds import (
    COLOURED,
    INKED,
    SCENES,
    draw_background,
    draw_inked_background,
    draw_speed_lines,
)
from pipeline.drawings.canvas import Canvas
from pipeline.drawings.effects import FLOATING, draw_floating, finish_light
from pipeline.drawings.figure import Placement, draw_figure
from pipeline.drawings.geometry import Points, points
from pipeline.drawings.lettering import (
    draw_bubble,
    draw_signature,
    draw_title,
    sound,
    write,
)
from pipeline.drawings.palette import BLACK, WHITE, choose_monochrome, choose_palette, hsv

Page = tuple[Image.Image, set[str]]


def compose(width: int, height: int, rng: np.random.Generator) -> Page:
    """Return one page and its tags, of a kind chosen by `rng`."""
    kinds = ["portrait", "full", "pair", "landscape", "manga"]
    shares = [0.52, 0.14, 0.13, 0.07, 0.14]
    kind = str(rng.choice(kinds, p=shares))
    if kind == "manga":
        return _manga(width, height, rng)
    return _illustration(width, height, kind, rng)


def _illustration(width: int, height: int, kind: str, rng: np.random.Generator) -> Page:
    """Draw background, characters, floating pieces and words; return the page."""
    canvas = Canvas(width, height, WHITE)
    weight = float(np.exp(rng.normal(0, 0.28)))
    landscape = kind == "landscape"
    backs = SCENES if landscape else COLOURED
    tags = draw_background(canvas, str(rng.choice(backs)), rng)
    if landscape:
        tags |= {"scenery", "no_humans"}
    else:
        brushed = bool(rng.random() < 0.5)
        placements = _placements(width, height, kind, weight, rng)
        for placement in placements:
            tags |= draw_figure(canvas, placement, choose_palette(rng, brushed), rng)
        tags |= {"2girls", "multiple_girls"} if len(placements) == 2 else {"1girl", "solo"}
    if rng.random() < 0.35:
        floating = str(rng.choice(FLOATING))
        draw_floating(canvas, floating, rng)
        tags.add(floating)
    if rng.random() < 0.5:
        canvas.mirror()
    if rng.random() < 0.3:
        tags |= _lettered(canvas, weight, rng)
    return finish_light(canvas.finish(), rng), tags


def _placements(
    width: int, height: int, kind: str, weight: float, rng: np.random.Generator
) -> list[Placement]:
    """Return the placements of an illustration's characters, the hindmost first."""
    if kind == "pair":
        unit = min(width * 0.17, height * 0.19) * rng.uniform(0.8, 1.05)
        y = height * rng.uniform(0.36, 0.5)
        return [
            _choose_placement(width * share, y + unit * rng.normal(0, 0.25), unit, weight, rng)
            for share in (0.28, 0.72)
        ]
    chibi = bool(rng.random() < (0.5 if kind == "full" else 0.06))
    x = width * rng.uniform(0.38, 0.62)
    if kind == "full":
        unit = height / (rng.uniform(5.6, 6.6) if chibi else rng.uniform(12.4, 13.6))
        unit = min(unit, width / 3.4)
        return [_choose_placement(x, height * 0.08 + unit * 1.4, unit, weight, rng, chibi, True)]
    unit = min(width, height) * float(np.exp(rng.uniform(np.log(0.13), np.log(0.36))))
    y = max(height * rng.uniform(0.3, 0.5), unit * 1.2)
    return [_choose_placement(x, y, unit, weight, rng, chibi)]


def _choose_placement(
    x: float,
    y: float,
    unit: float,
    weight: float,
    rng: np.random.Generator,
    chibi: bool = False,
    full: bool = False,
) -> Placement:
    """Return a placement whose ink suits its size: artists draw large heads with heavier lines."""
    ink = float(np.clip(weight * unit / 80, 0.9, 4.0))
    lean = float(rng.normal(0, 0.4)) if not full and rng.random() < 0.2 else 0.0
    return Placement(x, y, unit, float(rng.normal(0, 0.1)), ink, chibi, full, lean)


def _lettered(canvas: Canvas, weight: float, rng: np.random.Generator) -> set[str]:
    kind = rng.choice(["title", "bubble", "signature", "sound"], p=[0.35, 0.3, 0.25, 0.1])
    if kind == "title":
        colour = WHITE if rng.random() < 0.6 else hsv(rng.random(), 0.7, 0.95)
        draw_title(canvas, colour, hsv(rng.random(), 0.7, 0.3), rng)
        return {"text", "cover"}
    if kind == "bubble":
        _speak(canvas, max(1.2, weight * 1.5), rng)
        return {"text", "speech_bubble"}
    if kind == "signature":
        draw_signature(canvas, (60, 56, 66) if rng.random() < 0.5 else WHITE, rng)
        return {"signature"}
    _shout(canvas, rng)
    return {"text", "sound_effects"}


def _speak(canvas: Canvas, ink: float, rng: np.random.Generator) -> None:
    """Draw a bubble in an upper corner, its tail towards the middle."""
    width, height = canvas.width, canvas.height
    half = (width * rng.uniform(0.12, 0.19), height * rng.uniform(0.08, 0.13))
    centre = (width * rng.choice([0.2, 0.8]), height * rng.uniform(0.14, 0.24))
    draw_bubble(canvas, centre, half, np.array([width * 0.5, height * 0.42]), ink, rng)


def _shout(canvas: Canvas, rng: np.random.Generator) -> None:
    size = min(canvas.width, canvas.height) * rng.uniform(0.08, 0.18)
    where = (canvas.width * rng.choice([0.25, 0.75]), canvas.height * rng.uniform(0.15, 0.85))
    write(
        canvas,
        sound(rng),
        where,
        size,
        BLACK,
        angle=float(rng.uniform(-25, 25)),
        edge=WHITE,
        bold=True,
    )


def _manga(width: int, height: int, rng: np.random.Generator) -> Page:
    """Return a manga page of one to nine panels, in ink and screentone, and its tags."""
    page = Canvas(width, height, WHITE)
    pitch = float(rng.uniform(2.6, 6.0))
    panels = _panels(width, height, rng)
    tags = {"monochrome", "greyscale", "comic", "screentone"}
    border = rng.uniform(1.8, 3.6)
    heads = 0
    for panel in panels:
        inside, inside_tags, has_head = _panel(panel, pitch, rng)
        heads += has_head
        tags |= inside_tags
        with page.clip(panel):
            page.paste(inside, panel.min(axis=0))
        page.contour(panel, BLACK, border)
    tags |= {"1girl"} if heads == 1 else {"multiple_girls"} if heads else {"no_humans"}
    return page.finish(), tags


def _panels(width: int, height: int, rng: np.random.Generator) -> list[Points]:
    """Return quadrilaterals that tile the page but for margins and gutters, some cut aslant."""
    margin, gutter = width * 0.035, width * rng.uniform(0.008, 0.02)
    rows = np.cumsum([0.0, *rng.dirichlet(np.full(int(rng.integers(1, 4)), 12.0))])
    panels = []
    for top, bottom in pairwise(rows):
        y0 = margin + top * (height - 2 * margin) + gutter * (top > 0)
        y1 = margin + bottom * (height - 2 * margin) - gutter * (bottom < 0.999)
        wide = (bottom - top) * height < width * 0.8
        columns = np.cumsum(
            [0.0, *rng.dirichlet(np.full(int(rng.integers(1, 4 if wide else 3)), 10.0))]
        )
        slants = np.concatenate([[0], rng.normal(0, 0.03, len(columns) - 2) * width, [0]])
        for index in range(len(columns) - 1):
            x0 = margin + columns[index] * (width - 2 * margin) + gutter * (index > 0)
            x1 = (
                margin
                + columns[index + 1] * (width - 2 * margin)
                - gutter * (index < len(columns) - 2)
            )
            left, right = slants[index], slants[index + 1]
            panels.append(
                points((x0 - left, y0), (x1 - right, y0), (x1 + right, y1), (x0 + left, y1))
            )
    return panels


def _panel(panel: Points, pitch: float, rng: np.random.Generator) -> tuple[Canvas, set[str], bool]:
    """Return one panel as a canvas of its bounding box, its tags, and whether someone is in it."""
    width, height = (int(side) + 1 for side in np.ptp(panel, axis=0))
    canvas = Canvas(width, height, WHITE)
    tags = draw_inked_background(canvas, str(rng.choice(INKED)), pitch, rng)
    has_head = bool(rng.random() < 0.9)
    if has_head:
        unit = min(width, height) * float(np.exp(rng.uniform(np.log(0.2), np.log(0.55))))
        placement = _choose_placement(
            width * rng.uniform(0.3, 0.7),
            max(height * 0.45, unit * 0.7),
            unit,
            1.0,
            rng,
            bool(rng.random() < 0.12),
        )
        tags |= draw_figure(canvas, placement, choose_monochrome(rng, pitch), rng)
    else:
        draw_speed_lines(canvas, (width / 2, height / 2), BLACK, rng)
    if not has_head or rng.random() < 0.25:
        _shout(canvas, rng)
        tags |= {"text", "sound_effects"}
    if rng.random() < 0.6:
        _speak(canvas, 1.4, rng)
        tags |= {"text", "speech_bubble"}
    return canvas, tags, has_head
