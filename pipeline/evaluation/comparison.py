"""Side-by-side pictures: choice of images and details, and the figure `comparison.png`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch.nn import functional as F

from pipeline.evaluation.measurement import Metric, Scores
from pipeline.evaluation.pairs import evenly_spaced
from pipeline.files import atomic_path
from pipeline.metrics import luma

CELL = 192
GAP = 8
TEXT_HEIGHT = 20
INK, PAPER, FRAME = (32, 36, 43), (255, 255, 255), (230, 60, 30)


@dataclass(frozen=True)
class Box:
    """A square of an image in pixels; right and bottom are exclusive."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True)
class Picture:
    """An image with every method's result, its scores and the detail that is shown."""

    name: str
    lr: torch.Tensor
    """(3, h, w) uint8"""
    versions: Mapping[str, torch.Tensor]
    """method → (3, H, W) uint8, and the original as the last, under `original`"""
    scores: Scores
    """method → metric → value"""
    box: Box
    """the detail, in pixels of the original"""
    captions: Sequence[Metric]
    """metrics whose values are shown with it; of a worst case, those by which it is worst"""

    def detail(self, version: str) -> torch.Tensor:
        """Crop the detail from one version, or from `lr`: (3, side, side) uint8."""
        image = self.lr if version == "lr" else self.versions[version]
        step = self.versions["original"].shape[-1] // image.shape[-1]
        rows = slice(self.box.top // step, self.box.bottom // step)
        columns = slice(self.box.left // step, self.box.right // step)
        return image[:, rows, columns]


def choose_detail(a: torch.Tensor, b: torch.Tensor, side: int, step: int) -> Box:
    """Return the square with the largest summed difference of Y between two images.

    `a` and `b` are (3, H, W) uint8. The corners lie on multiples of `step`, so that the square also
    fits the pixels of an image `step` times smaller; `side` is lowered to such a multiple and to
    the images' size. Of equal squares the first by rows is returned.
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
    """Return indices of `count` images, evenly spaced in the ranking from most to least gain.

    So failures are shown beside successes, without anyone's choice.
    """
    ranked = sorted(range(len(gains)), key=lambda index: (-gains[index], index))
    return [ranked[index] for index in evenly_spaced(len(ranked), count)]


def draw_comparison(path: Path, pictures: Sequence[Picture]) -> None:
    """Draw one row per picture: the original in full, then the detail of each version.

    Details are enlarged without smoothing. Below each stands the value of the picture's first
    caption metric, which is of the full result.
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
            draw.text((left + CELL / 2, top + CELL + 4), _caption(picture, title), INK, font, "mt")
    with atomic_path(path) as temporary:
        canvas.save(temporary, format="PNG", optimize=True)


def to_image(pixels: torch.Tensor) -> Image.Image:
    """Convert (3, H, W) uint8 to a PIL image."""
    return Image.fromarray(np.ascontiguousarray(pixels.permute(1, 2, 0).numpy()))


def _caption(picture: Picture, column: str) -> str:
    if column == "picture":
        return picture.name
    if column not in picture.scores:
        return ""
    metric = picture.captions[0]
    return f"{metric.name}: {metric.format(picture.scores[column][metric.key])}"


def _thumbnail(picture: Picture) -> Image.Image:
    image = to_image(picture.versions["original"])
    scale = CELL / max(image.size)
    small = image.resize((round(image.width * scale), round(image.height * scale)))
    box = picture.box
    corners = [round(side * scale) for side in (box.left, box.top, box.right, box.bottom)]
    ImageDraw.Draw(small).rectangle(corners, outline=FRAME, width=2)
    return small


def _cell(picture: Picture, column: str) -> Image.Image:
    """Return a cell of the figure; the LR detail stays `scale` times smaller than the others."""
    if column == "picture":
        return _thumbnail(picture)
    detail = to_image(picture.detail(column))
    side = CELL * detail.width // (picture.box.right - picture.box.left)
    return detail.resize((side, side), Image.Resampling.NEAREST)
