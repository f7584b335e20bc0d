"""The README's picture: one unseen drawing of the program's own, LR, bicubic, model and original.

Run after `pipeline demo`: python benchmarks/readme_picture.py demo docs/images/demo.png
"""

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from pipeline import Upscaler
from pipeline.drawings import draw
from pipeline.metrics import luma, psnr
from pipeline.networks.files import load_generator
from stages.commands.demo import UNSEEN_SEED

WINDOW = 220
GAP = 8
LABEL = 22


def main(demo: Path, target: Path) -> None:
    hr = draw(UNSEEN_SEED).image
    hr = hr.crop((0, 0, hr.width // 4 * 4, hr.height // 4 * 4))
    lr = hr.resize((hr.width // 4, hr.height // 4), Image.Resampling.BICUBIC)
    loaded = load_generator(demo / "models/generator.safetensors", torch.device("cpu"))
    results = {
        "low resolution": lr.resize(hr.size, Image.Resampling.NEAREST),
        "bicubic": lr.resize(hr.size, Image.Resampling.BICUBIC),
        "model": Upscaler(loaded.generator)(lr),
        "original": hr,
    }
    box = most_different(results["bicubic"], hr)
    width = len(results) * (WINDOW + GAP) + GAP
    sheet = Image.new("RGB", (width, WINDOW + LABEL + 2 * GAP), "white")
    pen = ImageDraw.Draw(sheet)
    for column, (name, image) in enumerate(results.items()):
        left = GAP + column * (WINDOW + GAP)
        sheet.paste(image.crop(box), (left, GAP + LABEL))
        figure = "" if name in ("low resolution", "original") else f", {decibels(image, hr):.2f} dB"
        pen.text((left, GAP), name + figure, "black", ImageFont.load_default(14))
    target.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(target, optimize=True)
    print(f"{target}: {sheet.width}×{sheet.height}, detail at {box[:2]}")


def most_different(a: Image.Image, b: Image.Image) -> tuple[int, int, int, int]:
    """The window of the picture where the two differ most."""
    error = np.abs(np.asarray(a, np.float32) - np.asarray(b, np.float32)).mean(axis=2)
    total = np.pad(error.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    sums = (
        total[WINDOW:, WINDOW:]
        - total[:-WINDOW, WINDOW:]
        - total[WINDOW:, :-WINDOW]
        + total[:-WINDOW, :-WINDOW]
    )
    top, left = np.unravel_index(sums.argmax(), sums.shape)
    return int(left), int(top), int(left) + WINDOW, int(top) + WINDOW


def decibels(image: Image.Image, hr: Image.Image) -> float:
    """PSNR of the luma of the whole picture, 4 pixels cropped."""
    a, b = (
        luma(torch.from_numpy(np.array(each)).permute(2, 0, 1)[None].float())
        for each in (image, hr)
    )
    return psnr(a, b, border=4).item()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
