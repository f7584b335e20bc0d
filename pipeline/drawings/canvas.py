"""The canvas: anti-aliased by drawing on a larger sheet and averaging its pixels."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from pipeline.drawings.geometry import Point, Points, normals

Colour = tuple[int, int, int]

SUPERSAMPLING = 3
"""Sheet pixels per page pixel in each direction: ten levels of coverage at an edge."""

_CHUNK = 4
"""Samples of a stroke per polygon: few, since polygons that cross themselves get holes."""


@dataclass(frozen=True)
class Tone:
    """A screentone: dots of `ink` on `paper`, on a grid of `pitch` page pixels turned by 45°.

    The dots cover the share `coverage` of the paper.
    """

    ink: Colour
    paper: Colour
    pitch: float
    coverage: float


Paint = Colour | Tone


class Canvas:
    """A page of `width` × `height` pixels; all coordinates and widths are in page pixels."""

    def __init__(self, width: int, height: int, colour: Colour) -> None:
        self.width = width
        self.height = height
        self._sheet = Image.new("RGB", (width * SUPERSAMPLING, height * SUPERSAMPLING), colour)
        self._pen = ImageDraw.Draw(self._sheet)
        self._origin = np.zeros(2)

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of the page."""
        return 0.0, 0.0, float(self.width), float(self.height)

    def finish(self) -> Image.Image:
        """Return the page as an RGB image, `width` × `height`."""
        return self._sheet.reduce(SUPERSAMPLING)

    def backdrop(self, image: Image.Image) -> None:
        """Cover the page with `image`, RGB, of any size."""
        page = image.resize((self.width, self.height), Image.Resampling.BICUBIC)
        self._show(page.resize(self._sheet.size, Image.Resampling.NEAREST))

    def mirror(self) -> None:
        """Swap left and right of everything drawn so far."""
        self._show(self._sheet.transpose(Image.Transpose.FLIP_LEFT_RIGHT))

    def soften(self, radius: float) -> None:
        """Blur everything drawn so far with a Gaussian of `radius` page pixels."""
        page = self.finish().filter(ImageFilter.GaussianBlur(radius))
        self._show(page.resize(self._sheet.size, Image.Resampling.NEAREST))

    def fill(self, shape: Points, paint: Paint, opacity: float = 1.0) -> None:
        """Fill the closed `shape`."""
        if isinstance(paint, Tone) or opacity < 1:
            self.fill_all([shape], paint, opacity)
        else:
            self._pen.polygon(self._flat(shape), fill=paint)

    def fill_all(self, shapes: Sequence[Points], paint: Paint, opacity: float = 1.0) -> None:
        """Fill the closed `shapes` as one: where translucent ones overlap nothing adds up."""
        if isinstance(paint, Tone) or opacity < 1:
            box = self._box(np.concatenate(shapes))
            if box is not None:
                self._paste(paint, box, self._mask(shapes, box, round(255 * opacity)))
            return
        for shape in shapes:
            self.fill(shape, paint)

    def cover(self, paint: Paint) -> None:
        """Fill the page, or the clip."""
        width, height = self._sheet.size
        if isinstance(paint, Tone):
            self._sheet.paste(self._tone(paint, (0, 0, width, height)))
        else:
            self._sheet.paste(paint, (0, 0, width, height))

    def gradient(self, shape: Points, colours: Sequence[Colour]) -> None:
        """Fill `shape` with a vertical gradient through `colours`, from its top to its bottom."""
        box = self._box(shape)
        if box is None:
            return
        flat = self._local(shape)
        top, bottom = flat[:, 1].min(), flat[:, 1].max()
        rows = (np.arange(box[1], box[3]) - top) / max(bottom - top, 1)
        strip = Image.fromarray(ramp(colours, rows)[:, None].round().astype(np.uint8))
        patch = strip.resize((box[2] - box[0], box[3] - box[1]), Image.Resampling.NEAREST)
        self._sheet.paste(patch, box, self._mask([shape], box, 255))

    def stroke(
        self,
        line: Points,
        colour: Colour,
        width: float,
        taper: tuple[float, float] = (0.3, 0.3),
    ) -> None:
        """Ink `line`, `width` page pixels wide, thinning over the `taper` parts of its ends."""
        if len(line) < 2:
            return
        position = np.linspace(0, 1, len(line))
        rise = np.minimum(position / max(taper[0], 1e-6), 1) if taper[0] else np.ones(len(line))
        fall = np.minimum((1 - position) / max(taper[1], 1e-6), 1) if taper[1] else rise * 0 + 1
        # PIL's polygons reach half a sheet pixel over each edge.
        pressure = np.sqrt(rise * fall) * width - 0.5 / SUPERSAMPLING
        offset = normals(line) * (np.maximum(pressure, 0.1) / 2)[:, None]
        left, right = self._local(line + offset), self._local(line - offset)
        for start in range(0, len(line) - 1, _CHUNK):
            piece = slice(start, start + _CHUNK + 1)
            outline = np.concatenate([left[piece], right[piece][::-1]])
            self._pen.polygon(outline.ravel().tolist(), fill=colour)

    def contour(self, shape: Points, colour: Colour, width: float) -> None:
        """Ink the whole edge of the closed `shape` in an even line."""
        self.stroke(np.concatenate([shape, shape[:2]]), colour, width, (0, 0))

    def glow(self, centre: Point, radii: Point, colour: Colour, opacity: float) -> None:
        """Draw a soft blob, with `opacity` at `centre` and 0 at `radii`."""
        reach = np.array([np.subtract(centre, radii), np.add(centre, radii)])
        left, top, right, bottom = self._local(reach).round().astype(int).ravel().tolist()
        if right <= left or bottom <= top:
            return
        grid = np.linspace(-1, 1, 48) ** 2
        falloff = np.clip(1 - (grid[:, None] + grid[None, :]), 0, 1) ** 2
        mask = Image.fromarray((falloff * 255 * opacity).astype(np.uint8))
        size = (right - left, bottom - top)
        self._sheet.paste(
            colour, (left, top, right, bottom), mask.resize(size, Image.Resampling.BILINEAR)
        )

    def stamp(self, mask: Image.Image, corner: Point, colour: Colour) -> None:
        """Paint `colour` through `mask`, mode L and in sheet pixels, its top left at `corner`."""
        left, top = self._local(np.array([corner]))[0].round().astype(int).tolist()
        self._sheet.paste(colour, (left, top, left + mask.width, top + mask.height), mask)

    def paste(self, other: "Canvas", corner: Point) -> None:
        """Paste another page on this one, its top left at `corner`."""
        left, top = self._local(np.array([corner]))[0].round().astype(int).tolist()
        self._sheet.paste(other._sheet, (left, top))

    @contextmanager
    def clip(self, shape: Points) -> Iterator[None]:
        """Restrict drawing to the inside of the closed `shape` within this context."""
        box = self._box(shape)
        if box is None:
            box = (0, 0, 1, 1)
        mask = self._mask([shape], box, 255)
        outer, origin = self._sheet, self._origin
        self._origin = origin + box[:2]
        self._show(outer.crop(box))
        try:
            yield
        finally:
            inner = self._sheet
            self._origin = origin
            self._show(outer)
            outer.paste(inner, box, mask)

    def _show(self, sheet: Image.Image) -> None:
        self._sheet = sheet
        self._pen = ImageDraw.Draw(sheet)

    def _local(self, shape: Points) -> Points:
        return shape * SUPERSAMPLING - self._origin

    def _flat(self, shape: Points) -> list[float]:
        flat: list[float] = self._local(shape).ravel().tolist()
        return flat

    def _box(self, shape: Points) -> tuple[int, int, int, int] | None:
        """Return the part of the sheet that `shape` can touch, or None when it lies outside."""
        flat = self._local(shape)
        left, top = np.maximum(np.floor(flat.min(axis=0)), 0).astype(int).tolist()
        right, bottom = np.minimum(np.ceil(flat.max(axis=0)) + 1, self._sheet.size).astype(int)
        if right <= left or bottom <= top:
            return None
        return left, top, int(right), int(bottom)

    def _mask(
        self, shapes: Sequence[Points], box: tuple[int, int, int, int], value: int
    ) -> Image.Image:
        mask = Image.new("L", (box[2] - box[0], box[3] - box[1]))
        pen = ImageDraw.Draw(mask)
        for shape in shapes:
            pen.polygon((self._local(shape) - box[:2]).ravel().tolist(), fill=value)
        return mask

    def _paste(self, paint: Paint, box: tuple[int, int, int, int], mask: Image.Image) -> None:
        self._sheet.paste(self._tone(paint, box) if isinstance(paint, Tone) else paint, box, mask)

    def _tone(self, tone: Tone, box: tuple[int, int, int, int]) -> Image.Image:
        """Return the part `box` of the sheet under `tone`: dots are aligned across shapes."""
        cell = tone_cell(tone)
        size = cell.shape[0]
        left, top = (self._origin.astype(int) + box[:2]) % size
        width, height = box[2] - box[0], box[3] - box[1]
        repeats = ((top + height) // size + 1, (left + width) // size + 1, 1)
        tiled = np.tile(cell, repeats)[top : top + height, left : left + width]
        return Image.fromarray(np.ascontiguousarray(tiled))


def ramp(colours: Sequence[Colour], positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the colours, `(N, 3)`, at `positions` `(N,)` of a gradient, from 0 to 1."""
    stops = np.linspace(0, 1, len(colours))
    return np.stack([np.interp(positions, stops, band) for band in np.array(colours).T], axis=1)


@lru_cache(maxsize=64)
def tone_cell(tone: Tone) -> NDArray[np.uint8]:
    """Return one period of `tone`, `(P, P, 3)` sheet pixels, with two dots."""
    size = max(4, round(tone.pitch * SUPERSAMPLING * np.sqrt(2)))
    grid = (np.arange(size) + 0.5) / size * 2 * np.pi
    height = np.cos(grid[:, None]) * np.cos(grid[None, :])
    level = np.quantile(height, 1 - tone.coverage)
    inked = (height > level)[..., None]
    return np.where(inked, np.array(tone.ink), np.array(tone.paper)).astype(np.uint8)
