"""Pictures beside each other: which ones, which part of them, and the figure `comparison.png`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch.nn import functional as F

from pipeline.evaluation.measurement import Figures, Metric
from pipeline.evaluation.pairs import spread
from pipeline.files import atomic_path
from pipeline.metrics import luma

CELL = 192
GAP = 8
TEXT_HEIGHT = 20
INK, PAPER, FRAME = (32, 36, 43), (255, 255, 255), (230, 60, 30)


@dataclass(frozen=True)
class Box:
    """A square of an image, pixels; right and bottom are the first ones outside."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True)
class Picture:
    """A measured image with its results, to be shown."""

    name: str
    lr: torch.Tensor
    """(3, h, w) uint8"""
    versions: Mapping[str, torch.Tensor]
    """method → (3, H, W) uint8, and the original as the last, under `original`"""
    figures: Figures
    """method → metric → value"""
    box: Box
    """the detail, in pixels of the original"""
    captions: Sequence[Metric]
    """whose values are shown with it; the metrics by which it is the worst, where it is one"""

    def detail(self, version: str) -> torch.Tensor:
        """The detail of one version, or of `lr`: (3, side, side) uint8."""
        image = self.lr if version == "lr" else self.versions[version]
        step = self.versions["original"].shape[-1] // image.shape[-1]
        rows = slice(self.box.top // step, self.box.bottom // step)
        columns = slice(self.box.left // step, self.box.right // step)
        return image[:, rows, columns]


def choose_detail(a: torch.Tensor, b: torch.Tensor, side: int, step: int) -> Box:
    """The square where the Y of two images (3, H, W) uint8 differs most in all.

    Its corners lie on multiples of `step`, so that it is whole in an image `step` times smaller;
    `side` is lowered to such a multiple and to the images' size. The first of equal ones, by rows.
    """
    height, width = a.shape[-2:]
    side = max(step, min(side, height, width) // step * step)
    difference = (luma(a[None].float()) - luma(b[None].float())).abs()
    blocks = F.avg_pool2d(difference.double(), step)
    sums = F.avg_pool2d(blocks, side // step, stride=1)[0, 0]
    row, column = divmod(int(sums.argmax()), sums.shape[1])
    left, top = column * step, row * step
    return Box(left, top, left + side, top + side)


def choose_images(gains: Sequence[float], count: int) -> list[int]:
    """Indices of `count` images, spread evenly from the greatest gain to the least.

    So that what goes wrong is shown beside what goes well, and nobody picks.
    """
    ranked = sorted(range(len(gains)), key=lambda index: (-gains[index], index))
    return [ranked[index] for index in spread(len(ranked), count)]


def draw_comparison(path: Path, pictures: Sequence[Picture]) -> None:
    """Draw the figure: a row a picture, the whole of it, then every version's detail.

    Details are enlarged pixel by pixel, so that nothing is smoothed by the figure itself; under
    each is the whole result's value of the first metric of the picture's captions.
    """
    columns = ["picture", "lr", *pictures[0].versions]
    row_height = CELL + TEXT_HEIGHT + GAP
    canvas = Image.new(
        "RGB",
        (len(columns) * (CELL + GAP) + GAP, TEXT_HEIGHT + GAP + len(pictures) * row_height),
        PAPER,
    )
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(size=14)
    for column, title in enumerate(columns):
        left = GAP + column * (CELL + GAP)
        draw.text((left + CELL / 2, GAP), title, INK, font, anchor="mt")
        for row, picture in enumerate(pictures):
            top = TEXT_HEIGHT + GAP + row * row_height
            cell = _cell(picture, title)
            canvas.paste(cell, (left + (CELL - cell.width) // 2, top + (CELL - cell.height) // 2))
            draw.text((left + CELL / 2, top + CELL + 4), _below(picture, title), INK, font, "mt")
    with atomic_path(path) as temporary:
        canvas.save(temporary, format="PNG", optimize=True)


def to_image(pixels: torch.Tensor) -> Image.Image:
    """(3, H, W) uint8 as a PIL image."""
    return Image.fromarray(np.ascontiguousarray(pixels.permute(1, 2, 0).numpy()))


def _below(picture: Picture, column: str) -> str:
    if column == "picture":
        return picture.name
    if column not in picture.figures:
        return ""
    caption = picture.captions[0]
    return f"{caption.name}: {caption.text(picture.figures[column][caption.key])}"


def _whole(picture: Picture) -> Image.Image:
    image = to_image(picture.versions["original"])
    scale = CELL / max(image.size)
    small = image.resize((round(image.width * scale), round(image.height * scale)))
    box = picture.box
    corners = [round(side * scale) for side in (box.left, box.top, box.right, box.bottom)]
    ImageDraw.Draw(small).rectangle(corners, outline=FRAME, width=2)
    return small


def _cell(picture: Picture, column: str) -> Image.Image:
    """The LR detail is as much smaller than the others here as it is in truth."""
    if column == "picture":
        return _whole(picture)
    detail = to_image(picture.detail(column))
    side = CELL * detail.width // (picture.box.right - picture.box.left)
    return detail.resize((side, side), Image.Resampling.NEAREST)
