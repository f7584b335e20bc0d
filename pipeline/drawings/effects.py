"""Draw floating pieces in front of the characters, and apply light to the finished page."""

import numpy as np
from PIL import Image, ImageChops, ImageFilter

from pipeline.drawings.canvas import Canvas
from pipeline.drawings.geometry import ellipse, points, rectangle, rotated, smooth, star
from pipeline.drawings.palette import WHITE, hsv, lightened, shadowed

FLOATING = ("petals", "sparkle", "snow", "rain", "bubble", "leaf", "confetti")


def draw_floating(canvas: Canvas, kind: str, rng: np.random.Generator) -> None:
    """Scatter `kind`, one of `FLOATING`, over the page; a few near pieces are large."""
    reach = min(canvas.width, canvas.height)
    hue = {"petals": 0.95, "leaf": rng.choice([0.06, 0.3])}.get(kind, rng.random())
    for _ in range(int(rng.integers(14, 70))):
        position = rng.uniform(0, 1, 2) * (canvas.width, canvas.height)
        size = reach * (0.004 + 0.022 * rng.random() ** 3)
        turn = rng.uniform(0, 2 * np.pi)
        if kind in ("petals", "leaf"):
            colour = hsv(
                hue + rng.normal(0, 0.015), 0.28 if kind == "petals" else 0.6, rng.uniform(0.85, 1)
            )
            outline = points((0, -1), (0.62, -0.3), (0.5, 0.6), (0, 1), (-0.5, 0.6), (-0.62, -0.3))
            shape = (
                rotated(smooth(outline * (rng.uniform(0.5, 1), 1), True, 4), turn) * size * 1.3
                + position
            )
            canvas.fill(shape, colour)
            canvas.fill(shape * 0.6 + shape.mean(axis=0) * 0.4, lightened(colour, 0.4))
            if rng.random() < 0.5:
                canvas.contour(shape, shadowed(colour, 0.8), 1.0)
        elif kind == "sparkle":
            canvas.glow(position, (size * 2.4, size * 2.4), WHITE, 0.6)
            canvas.fill(star(position, size * 1.8, size * 0.22, 4, 0.0), WHITE)
        elif kind == "snow":
            canvas.fill(
                ellipse(position, (size * 0.6, size * 0.6), 16), WHITE, rng.uniform(0.5, 1.0)
            )
        elif kind == "rain":
            fall = np.stack([position, position + np.array([-0.2, 1.0]) * size * 8])
            canvas.stroke(fall, (225, 235, 250), rng.uniform(0.8, 1.8), (0.5, 0.1))
        elif kind == "bubble":
            canvas.contour(ellipse(position, (size * 1.6, size * 1.6)), (240, 248, 255), 1.3)
            canvas.fill(ellipse(position - size * 0.6, (size * 0.35, size * 0.25), 12), WHITE)
        else:
            piece = rectangle(-0.6, -0.25, 0.6, 0.25)
            canvas.fill(rotated(piece, turn) * size * 1.4 + position, hsv(rng.random(), 0.6, 1.0))


def finish_light(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Return the page tinted, bloomed, softened, on rough paper, or unchanged."""
    if rng.random() < 0.35:
        image = _tint(image, rng)
    if rng.random() < 0.2:
        image = _add_bloom(image, float(rng.uniform(0.15, 0.45)))
    if rng.random() < 0.4:
        image = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.3, 0.8))))
    return _add_texture(image, rng.uniform(2, 12), rng) if rng.random() < 0.4 else image


def _tint(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Return the page multiplied by a gradient between two pale colours, in any direction."""
    angle = rng.uniform(0, 2 * np.pi)
    grid = np.linspace(-0.5, 0.5, 64)
    slope = np.clip(grid[None] * np.cos(angle) + grid[:, None] * np.sin(angle) + 0.5, 0, 1)[
        ..., None
    ]
    one = np.array(hsv(rng.random(), rng.uniform(0, 0.3), 1.0))
    other = np.array(hsv(rng.random(), rng.uniform(0.1, 0.45), rng.uniform(0.75, 1.0)))
    veil = Image.fromarray((one * (1 - slope) + other * slope).astype(np.uint8))
    return ImageChops.multiply(image, veil.resize(image.size, Image.Resampling.BICUBIC))


def _add_texture(image: Image.Image, depth: float, rng: np.random.Generator) -> Image.Image:
    """Return the page on a rough ground of several scales, `depth` grey levels deep."""
    width, height = image.size
    rough = np.zeros((height // 2, width // 2), dtype=np.float32)
    for step in (1, 4, 16):
        coarse = rng.standard_normal((height // 2 // step + 1, width // 2 // step + 1), np.float32)
        layer = Image.fromarray(coarse).resize((width // 2, height // 2), Image.Resampling.BICUBIC)
        rough += np.asarray(layer)
    grain = Image.fromarray(np.clip(128 + rough * depth / 1.7, 0, 255).astype(np.uint8))
    band = grain.resize(image.size, Image.Resampling.BICUBIC)
    return ImageChops.overlay(image, Image.merge("RGB", (band, band, band)))


def _add_bloom(image: Image.Image, strength: float) -> Image.Image:
    """Return the page with bloom: its bright parts, reduced and blurred, screened over it."""
    small = image.reduce(4).point(lambda value: max(0, value - 150) * 2)
    spill = small.filter(ImageFilter.GaussianBlur(6)).point(lambda value: round(value * strength))
    return ImageChops.screen(image, spill.resize(image.size, Image.Resampling.BILINEAR))
