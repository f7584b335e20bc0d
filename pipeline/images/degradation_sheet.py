"""Contact sheet of degradations: details of pictures, and what they become."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import matplotlib
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pipeline.images.degradation import degrade
from pipeline.images.resample import downscale
from pipeline.params.degradation import ChainStrengths
from pipeline.progress import Progress

GAP = 8
FONT_SIZE = 12
LINE_HEIGHT = 15
LEAST_WIDTH = 180
"""Pixels of a cell, so that its label has room."""

Kind = Literal["web"] | ChainStrengths


@dataclass(frozen=True)
class Sheet:
    """What is drawn: so many draws of each of `kinds`, name → `web` or a chain, by `seed`."""

    kinds: Mapping[str, Kind]
    draws: int
    scale: int
    seed: int

    def draw(
        self, pictures: Iterable[tuple[str, NDArray[np.uint8]]], progress: Progress
    ) -> Image.Image:
        """Return the sheet of pictures: name and detail, `(H, W, 3)`, sides multiples of `scale`.

        Each picture has a row for each kind: at its left the detail itself and, below it, LR
        without damage; then the draws. LR is enlarged by nearest neighbour. `progress` is updated
        with the number of rows.
        """
        blocks = []
        for number, (name, detail) in enumerate(pictures):
            rows = []
            for row in self._rows(name, detail):
                rows.append(row)
                progress.update(number * len(self.kinds) + len(rows))
            blocks.append(_stack(rows))
        return _stack(blocks)

    def _rows(self, name: str, detail: NDArray[np.uint8]) -> Iterator[Image.Image]:
        hr = torch.from_numpy(np.ascontiguousarray(detail.transpose(2, 0, 1)))
        height, width = detail.shape[:2]
        clean = downscale(hr[None], self.scale)[0]
        size = f"{width // self.scale}×{height // self.scale}"
        left = [
            _Cell(name, f"HR, {width}×{height}", Image.fromarray(detail)),
            _Cell("none", f"bicubic, LR {size}", self._enlarged(clean)),
        ]
        for number, (kind_name, kind) in enumerate(self.kinds.items()):
            first = left[number] if number < len(left) else None
            yield _row([first, *self._cells(kind_name, kind, hr)], width, height)

    def _cells(self, name: str, kind: Kind, hr: torch.Tensor) -> list["_Cell"]:
        cells = []
        for number in range(self.draws):
            lr, done = degrade(hr, self.scale, kind, (self.seed, number), cut_out=True)
            cells.append(_Cell(f"{name} {number + 1}", ", ".join(done), self._enlarged(lr)))
        return cells

    def _enlarged(self, lr: torch.Tensor) -> Image.Image:
        image = Image.fromarray(lr.permute(1, 2, 0).contiguous().numpy())
        size = (image.width * self.scale, image.height * self.scale)
        return image.resize(size, Image.Resampling.NEAREST)


@dataclass(frozen=True)
class _Cell:
    title: str
    text: str
    image: Image.Image


def _row(cells: Sequence[_Cell | None], width: int, height: int) -> Image.Image:
    """Return cells side by side, each with its label above it."""
    cell_width = max(width, LEAST_WIDTH)
    labels = [[] if cell is None else _label(cell, cell_width) for cell in cells]
    label_height = max(map(len, labels)) * LINE_HEIGHT + LINE_HEIGHT // 3
    size = (len(cells) * (cell_width + GAP) + GAP, GAP + label_height + height)
    row = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(row)
    for column, (cell, lines) in enumerate(zip(cells, labels, strict=True)):
        left = GAP + column * (cell_width + GAP)
        for number, line in enumerate(lines):
            colour, font = ("#555555", _font()) if number else ("black", _font(bold=True))
            pen.text((left, GAP + number * LINE_HEIGHT), line, colour, font)
        if cell is not None:
            row.paste(cell.image, (left, GAP + label_height))
    return row


def _label(cell: _Cell, width: int) -> list[str]:
    """Return title and text of a cell in lines of at most `width` pixels, broken after steps."""
    lines = [_shortened(cell.title, width)]
    line = ""
    for part in cell.text.split(", "):
        longer = f"{line}, {part}" if line else part
        if line and _font().getlength(f"{longer},") > width:
            lines.append(f"{line},")
            line = part
        else:
            line = longer
    return [*lines, line]


def _shortened(title: str, width: int) -> str:
    while len(title) > 1 and _font(bold=True).getlength(title) > width:
        title = title[:-2] + "…"
    return title


def _stack(images: Sequence[Image.Image]) -> Image.Image:
    """Return images below each other, on white, with a gap below the last one."""
    size = (max(image.width for image in images), sum(image.height for image in images) + GAP)
    stacked = Image.new("RGB", size, "white")
    top = 0
    for image in images:
        stacked.paste(image, (0, top))
        top += image.height
    return stacked


@cache
def _font(bold: bool = False) -> ImageFont.FreeTypeFont:
    # Matplotlib's, as Pillow's own lacks ×, √ and most letters of file names.
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    path = Path(matplotlib.get_data_path()) / "fonts/ttf" / name
    return ImageFont.truetype(path, FONT_SIZE)
