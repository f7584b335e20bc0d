"""The docs' pictures: details of the program's own drawings, enlarged, beside the original.

python benchmarks/docs_pictures.py docs/images/shipped.png    the models that come with the program
python benchmarks/docs_pictures.py docs/images/demo.png --model demo/models/generator.safetensors
python benchmarks/docs_pictures.py docs/images/drawings.png --all    a drawing of the benchmark
python benchmarks/docs_pictures.py docs/images/slider.webp    bicubic, the default model
python benchmarks/docs_pictures.py docs/images/degrade.png --degradations    LR images of each kind
"""

import argparse
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont, ImageOps

from pipeline import Upscaler
from pipeline.drawings import draw
from pipeline.metrics import luma, psnr
from pipeline.shipped import DEFAULT, shipped_models
from stages.commands.degrade import degrade
from stages.commands.demo import UNSEEN_SEED

GAP = 8
LABEL = 22


@dataclass(frozen=True)
class Detail:
    """A part of the drawing of `seed`; `box` is left, top, right and bottom, pixels.

    With `side`, the drawing is a square of so many pixels, as images of the benchmark are.
    """

    seed: int
    box: tuple[int, int, int, int]
    side: int | None = None


# Chosen by hand among seeds that nothing else uses: a face with thin lines, one with texture.
SHIPPED = (Detail(20_030, (312, 306, 552, 530)), Detail(20_013, (578, 256, 818, 480)))
DEMO = (Detail(UNSEEN_SEED, (130, 263, 350, 483)),)
BENCHMARK = (Detail(30_001, (180, 220, 380, 420), 512),)
COLUMNS = 4
SLIDER = Detail(20_030, (212, 250, 692, 590))
FRAMES, FRAME_MS = 48, 80


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--all", action="store_true", help="all shipped models")
    parser.add_argument("--degradations", action="store_true", help="as `pipeline degrade`")
    arguments = parser.parse_args()
    arguments.target.parent.mkdir(parents=True, exist_ok=True)
    if arguments.degradations:
        save_degradations(arguments.target)
        return
    if arguments.target.suffix == ".webp":
        save_slider(arguments.target)
        return
    if arguments.all:
        upscalers = {name: Upscaler(name, device="cpu") for name in shipped_models()}
        details = BENCHMARK
    elif arguments.model is None:
        upscalers = {name: Upscaler(name, device="cpu") for name in ("distortion", "perception")}
        details = SHIPPED
    else:
        upscalers = {"model": Upscaler(arguments.model, device="cpu")}
        details = DEMO
    rows = [row for detail in details for row in wrapped(results_of(detail, upscalers))]
    sheet = draw_sheet(rows)
    sheet.save(arguments.target, optimize=True)
    print(f"{arguments.target}: {sheet.width}×{sheet.height}")


def results_of(detail: Detail, upscalers: Mapping[str, Upscaler]) -> dict[str, Image.Image]:
    """Label → the detail as bicubic and each model enlarge it, and as it was drawn."""
    hr = draw(detail.seed).image
    if detail.side is not None:
        hr = ImageOps.fit(hr, (detail.side, detail.side), Image.Resampling.LANCZOS)
    hr = hr.crop((0, 0, hr.width // 4 * 4, hr.height // 4 * 4))
    lr = hr.resize((hr.width // 4, hr.height // 4), Image.Resampling.BICUBIC)
    results = {"bicubic": lr.resize(hr.size, Image.Resampling.BICUBIC)}
    results |= {name: upscaler(lr) for name, upscaler in upscalers.items()}
    details = {
        f"{name}, {decibels(image, hr):.2f} dB": image.crop(detail.box)
        for name, image in results.items()
    }
    return details | {"original": hr.crop(detail.box)}


def wrapped(results: Mapping[str, Image.Image]) -> list[dict[str, Image.Image]]:
    """Rows of at most `COLUMNS` pictures."""
    items = list(results.items())
    return [dict(items[start : start + COLUMNS]) for start in range(0, len(items), COLUMNS)]


def draw_sheet(rows: Sequence[Mapping[str, Image.Image]]) -> Image.Image:
    """One row of labelled pictures for each mapping; all pictures have one size."""
    width, height = next(iter(rows[0].values())).size
    columns = len(rows[0])
    size = (columns * (width + GAP) - GAP, len(rows) * (height + LABEL + GAP) - GAP)
    sheet = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(sheet)
    for row, results in enumerate(rows):
        top = row * (height + LABEL + GAP)
        for column, (label, image) in enumerate(results.items()):
            left = column * (width + GAP)
            pen.text((left + 2, top + 2), label, "black", ImageFont.load_default(14))
            sheet.paste(image, (left, top + LABEL))
    return sheet


def save_slider(path: Path) -> None:
    """Save an animation in which a line moves from side to side between two results."""
    results = results_of(SLIDER, {DEFAULT: Upscaler(DEFAULT, device="cpu")})
    left, right, _ = results.values()
    labels = [label.partition(",")[0] for label in results]
    frames = []
    for number in range(FRAMES):
        share = 0.5 - 0.42 * math.cos(2 * math.pi * number / FRAMES)
        frames.append(slider_frame(left, right, round(share * left.width), labels))
    frames[0].save(
        path, save_all=True, append_images=frames[1:], duration=FRAME_MS, loop=0, quality=80
    )
    print(
        f"{path}: {len(frames)} frames of {left.width}×{left.height}, {path.stat().st_size:,} bytes"
    )


def save_degradations(path: Path) -> None:
    """Save what `pipeline degrade` writes of the first drawing, with fewer draws."""
    with tempfile.TemporaryDirectory() as folder:
        drawing = Path(folder) / "drawing.png"
        draw(SHIPPED[0].seed).image.save(drawing)
        degrade([drawing], path, draws=3, crop=240, overwrite=True)


def slider_frame(
    left: Image.Image, right: Image.Image, line: int, labels: Sequence[str]
) -> Image.Image:
    """Return `left` up to the column `line`, and `right` from there."""
    frame = right.copy()
    frame.paste(left.crop((0, 0, line, left.height)), (0, 0))
    pen = ImageDraw.Draw(frame)
    pen.line((line, 0, line, frame.height), "white", 3)
    outlined = {"font": ImageFont.load_default(16), "stroke_width": 2, "stroke_fill": "black"}
    pen.text((8, frame.height - 8), labels[0], "white", anchor="ls", **outlined)
    pen.text((frame.width - 8, frame.height - 8), labels[1], "white", anchor="rs", **outlined)
    return frame


def decibels(image: Image.Image, hr: Image.Image) -> float:
    """PSNR of the luma of the whole picture, 4 pixels cropped."""
    a, b = (
        luma(torch.from_numpy(np.array(each)).permute(2, 0, 1)[None].float())
        for each in (image, hr)
    )
    return psnr(a, b, border=4).item()


if __name__ == "__main__":
    main()
