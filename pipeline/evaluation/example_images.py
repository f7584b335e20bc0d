"""Example images of a report: their choice, their details, and the figure `comparison.png`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch.nn import functional as F

from pipeline.evaluation.measurement import Metric, Scores
from pipeline.evaluation.methods import LR, ORIGINAL
from pipeline.files import atomic_path
from pipeline.images.interpolation import INPUT
from pipeline.metrics import luma
from pipeline.spacing import evenly_spaced

CELL = 192
GAP = 8
TEXT_HEIGHT = 20
MAX_ROWS = 64
"""Of a figure: hundreds would be a hundred thousand pixels high, which viewers do not open."""
OVERVIEW = "picture"
"""Title of the first column."""
INK, PAPER, FRAME = (32, 36, 43), (255, 255, 255), (230, 60, 30)


@dataclass(frozen=True)
class Box:
    """A rectangle of an image in pixels; right and bottom are exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    def moved(self, right: int, down: int) -> "Box":
        """Return the box that many pixels further right and down."""
        return Box(self.left + right, self.top + down, self.right + right, self.bottom + down)


@dataclass(frozen=True)
class ExampleImage:
    """An image with every method's result, its scores and the detail that is shown."""

    name: str
    lr: torch.Tensor
    """(3, h, w) uint8"""
    results: Mapping[str, torch.Tensor]
    """method → (3, H, W) uint8"""
    original: torch.Tensor
    """(3, H, W) uint8"""
    scores: Scores
    """method → metric → value"""
    box: Box
    """the detail, in pixels of the original"""
    captions: Sequence[Metric]
    """metrics whose values are shown with it; of a worst case, those by which it is worst"""
    cut_from: str = ""
    """width and height of the picture of which this is a part; empty where it is whole"""

    def cut(self, most: int) -> "ExampleImage":
        """Return the part around the detail whose sides are `most` pixels, or the picture's.

        `most` is a multiple of the scale. A larger detail is kept whole.
        """
        height, width = self.original.shape[-2:]
        most = max(most, self.box.right - self.box.left)
        if max(height, width) <= most:
            return self
        step = width // self.lr.shape[-1]
        left = _start(self.box.left, self.box.right, width, most, step)
        top = _start(self.box.top, self.box.bottom, height, most, step)
        part = Box(left, top, min(left + most, width), min(top + most, height))
        return replace(
            self,
            lr=_part(self.lr, part, step),
            results={name: _part(result, part) for name, result in self.results.items()},
            original=_part(self.original, part),
            box=self.box.moved(-left, -top),
            cut_from=f"{width} × {height}",
        )

    @property
    def shown(self) -> dict[str, torch.Tensor]:
        """The images of the original's size: method → result, and last the original."""
        return {**self.results, ORIGINAL: self.original}

    def detail(self, name: str) -> torch.Tensor:
        """Crop the detail from one of `shown`, or from `LR`: (3, side, side) uint8."""
        image = self.lr if name == LR else self.shown[name]
        return _part(image, self.box, self.original.shape[-1] // image.shape[-1])


def _start(first: int, last: int, length: int, most: int, step: int) -> int:
    """Return where `most` pixels of `length` begin that have first to last in their middle.

    A multiple of `step`.
    """
    middle = (first + last - most) // 2 // step * step
    return max(0, min(middle, length - most))


def _part(image: torch.Tensor, box: Box, step: int = 1) -> torch.Tensor:
    """Copy a box of (3, H, W), given in pixels of an image `step` times as large."""
    rows = slice(box.top // step, box.bottom // step)
    columns = slice(box.left // step, box.right // step)
    return image[:, rows, columns].clone()


def choose_crop(sr: torch.Tensor, baseline: torch.Tensor, side: int, step: int) -> Box:
    """Return the square with the largest summed difference of Y between two results.

    Both are (3, H, W) uint8. The corners lie on multiples of `step`, so that the square also fits
    the pixels of an image `step` times smaller; `side` is lowered to such a multiple and to the
    images' size. Of equal squares the first by rows is returned.
    """
    height, width = sr.shape[-2:]
    side = max(step, min(side, height, width) // step * step)
    difference = (luma(sr[None].float()) - luma(baseline[None].float())).abs()
    blocks = F.avg_pool2d(difference.double(), step)
    sums = F.avg_pool2d(blocks, side // step, stride=1)[0, 0]
    row, column = divmod(int(sums.argmax()), sums.shape[1])
    left, top = column * step, row * step
    return Box(left, top, left + side, top + side)


def choose_images(gains: Sequence[float], count: int) -> list[int]:
    """Return indices of `count` images, evenly spaced in the ranking from most to least gain.

    So failures are shown beside successes, without anyone's choice.
    """
    ranked = sorted(range(len(gains)), key=lambda index: (-gains[index], index))
    return [ranked[index] for index in evenly_spaced(len(ranked), count)]


def draw_examples(path: Path, examples: Sequence[ExampleImage]) -> None:
    """Draw one row per image: the original in full, then its detail in LR, results and original.

    Of many images evenly spaced ones are drawn. Details are enlarged without smoothing. Below each
    stands the value of the image's first caption metric, which is of the full result.
    """
    examples = [examples[index] for index in evenly_spaced(len(examples), MAX_ROWS)]
    # At scale 1 LR is among the results.
    lr = [] if INPUT in examples[0].shown else [LR]
    columns = [OVERVIEW, *lr, *examples[0].shown]
    row_height = CELL + TEXT_HEIGHT + GAP
    canvas = Image.new(
        "RGB",
        (len(columns) * (CELL + GAP) + GAP, TEXT_HEIGHT + GAP + len(examples) * row_height),
        PAPER,
    )
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(size=14)
    for column, title in enumerate(columns):
        left = GAP + column * (CELL + GAP)
        draw.text((left + CELL / 2, GAP), title, INK, font, anchor="mt")
        for row, example in enumerate(examples):
            top = TEXT_HEIGHT + GAP + row * row_height
            cell = _cell(example, title)
            canvas.paste(cell, (left + (CELL - cell.width) // 2, top + (CELL - cell.height) // 2))
            caption = _fitting(_caption(example, title), font, CELL + GAP)
            draw.text((left + CELL / 2, top + CELL + 4), caption, INK, font, "mt")
    with atomic_path(path) as temporary:
        canvas.save(temporary, format="PNG", optimize=True)


def to_image(pixels: torch.Tensor) -> Image.Image:
    """Convert (3, H, W) uint8 to a PIL image."""
    return Image.fromarray(np.ascontiguousarray(pixels.permute(1, 2, 0).numpy()))


def _fitting(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """Return the text, its beginning left out where it is longer than `width` pixels."""
    kept = text
    while font.getlength(kept) > width:
        text = text[1:]
        kept = f"…{text}"
    return kept


def _caption(example: ExampleImage, column: str) -> str:
    if column == OVERVIEW:
        return example.name
    if column not in example.scores:
        return ""
    metric = example.captions[0]
    return f"{metric.name}: {metric.format(example.scores[column][metric.key])}"


def _overview(example: ExampleImage) -> Image.Image:
    """Return the original, made smaller, with a frame around the detail."""
    image = to_image(example.original)
    scale = CELL / max(image.size)
    small = image.resize((round(image.width * scale), round(image.height * scale)))
    box = example.box
    corners = [round(side * scale) for side in (box.left, box.top, box.right, box.bottom)]
    ImageDraw.Draw(small).rectangle(corners, outline=FRAME, width=2)
    return small


def _cell(example: ExampleImage, column: str) -> Image.Image:
    """Return a cell of the figure; the LR detail stays `scale` times smaller than the others."""
    if column == OVERVIEW:
        return _overview(example)
    detail = to_image(example.detail(column))
    side = CELL * detail.width // (example.box.right - example.box.left)
    return detail.resize((side, side), Image.Resampling.NEAREST)
