"""`pipeline degrade` as a user types it."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.images.degradation import make_lr
from pipeline.images.degradation_presets import PRESETS
from pipeline.images.detailed_crop import detailed_crop
from tests.images.originals import drawing
from tests.stages.program import pipeline


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    drawing(1, 220, 200).save(folder / "a.png")
    drawing(2, 90, 70).convert("RGBA").save(folder / "small.webp", lossless=True)
    frames = [drawing(number, 32, 32) for number in range(3)]
    frames[0].save(folder / "frames.gif", save_all=True, append_images=frames[1:])
    Image.new("RGB", (1, 1)).save(folder / "pixel.png")
    (folder / "c").mkdir()
    drawing(3, 220, 200).save(folder / "c/a.png")
    (folder / "text.png").write_text("no picture")
    (folder / "old.png").write_bytes(b"mine")
    (folder / "mine.yaml").write_text(
        "train:\n  scale: 2\n  degradation: heavy\n  degradation_strengths: {noise_prob: 0}\n"
    )
    (folder / "none.yaml").write_text("train: {degradation: none}\n")
    (folder / "bad.yaml").write_text("train: {degradation: hevy}\n")
    return folder


def cell(sheet: Image.Image, column: int, bottom: int, side: int) -> np.ndarray:
    """The picture of a column, above the pixel `bottom` of the sheet."""
    left = 8 + column * (max(side, 180) + 8)
    return np.asarray(sheet.crop((left, bottom - side, left + side, bottom)))


def test_a_sheet_has_a_row_for_each_preset(folder: Path) -> None:
    result = pipeline(folder, "degrade", "a.png", "--crop", "64", "-o", "b/sheet.png")
    assert result.code == 0
    assert re.fullmatch(r"degradations: 3/3 .* rows?/s \[.*\]\n", result.err)
    assert result.out == "b/sheet.png: light, web, heavy; LR images of each: 4\n"
    again = pipeline(folder, "degrade", "a.png", "--crop", "64", "-o", "again.png")
    assert again.code == 0
    assert (folder / "again.png").read_bytes() == (folder / "b/sheet.png").read_bytes()
    other = pipeline(folder, "degrade", "a.png", "--crop", "64", "-o", "other.png", "--seed", "1")
    assert other.code == 0
    assert (folder / "other.png").read_bytes() != (folder / "again.png").read_bytes()
    with Image.open(folder / "again.png") as sheet:
        assert sheet.width == 5 * 188 + 8


def test_the_cells_are_what_training_sees(folder: Path) -> None:
    arguments = ("--params", "mine.yaml", "--draws", "2", "--crop", "32", "-o", "cells.png")
    result = pipeline(folder, "degrade", "small.webp", *arguments)
    assert (result.code, result.out) == (0, "cells.png: heavy (mine.yaml); LR images of each: 2\n")
    with Image.open(folder / "cells.png") as sheet:
        bottom = sheet.height - 16
        shown = [cell(sheet, column, bottom, 32) for column in range(3)]
    hr = detailed_crop(np.asarray(Image.open(folder / "small.webp").convert("RGB")), 32, 2)
    assert np.array_equal(shown[0], hr)
    import torch

    chain = PRESETS["heavy"].replaced({"noise_prob": 0})
    batch = torch.from_numpy(hr.transpose(2, 0, 1).copy())[None].repeat(2, 1, 1, 1)
    lr = make_lr(batch, 2, chain, [(0, 0), (0, 1)], cut_out=True)
    for number in range(2):
        enlarged = lr[number].permute(1, 2, 0).numpy().repeat(2, 0).repeat(2, 1)
        assert np.array_equal(shown[number + 1], enlarged)


def test_pictures_of_other_sizes_and_of_one_name_share_a_sheet(folder: Path) -> None:
    arguments = ("--preset", "heavy", "--draws", "1", "--params", "mine.yaml", "-o", "both.png")
    result = pipeline(folder, "degrade", "a.png", "small.webp", "c/a.png", *arguments)
    about = "both.png: heavy, heavy (mine.yaml); LR images of each: 1\n"
    assert (result.code, result.out) == (0, about)
    with Image.open(folder / "both.png") as sheet:
        assert sheet.height > 2 * (200 + 200 + 70)


def test_transparency_lies_on_white(folder: Path) -> None:
    picture = Image.new("RGBA", (32, 32), (0, 0, 0, 0))
    picture.save(folder / "clear.png")
    arguments = ("--preset", "web", "--draws", "1", "--crop", "32", "-o", "white.png")
    assert pipeline(folder, "degrade", "clear.png", *arguments).code == 0
    with Image.open(folder / "white.png") as sheet:
        assert (cell(sheet, 0, sheet.height - 16, 32) == 255).all()


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        (["absent.png"], 1, "absent.png: cannot be read: No such file or directory"),
        (["b"], 1, "b: cannot be read: Is a directory"),
        (["text.png"], 1, "text.png: no image of a known format; name another picture"),
        (["frames.gif"], 1, "frames.gif: an animation of 3 frames; name another picture"),
        (["pixel.png"], 1, "pixel.png: 1×1 pixels are fewer than 4×4; name a larger picture"),
        (["a.png", "text.png"], 1, "text.png: no image of a known format"),
        (["a.png", "-o", "folder.png", "--overwrite"], 2, "folder.png: is a folder; name a file"),
        (["a.png", "-o", "old.png"], 2, "old.png: exists; --overwrite replaces it"),
        (["a.png", "-o", "sheet.jpg"], 2, "--output: sheet.jpg: the sheet is PNG; give it a name"),
        (["a.png", "-o", "b"], 2, "--output: b: the sheet is PNG; give it a name"),
        (["old.png", "-o", "b/../old.png", "--overwrite"], 2, "old.png: is one of the pictures;"),
        (
            ["a.png", "-o", "old.png/new.png"],
            2,
            "old.png/new.png: old.png is a file, and no folder;",
        ),
        (["a.png", "--preset", "hevy"], 2, "--preset: 'hevy' is not one of light, web, heavy"),
        (["a.png", "--params", "none.yaml"], 2, "none.yaml: train.degradation is none; set it to"),
        (["a.png", "--params", "bad.yaml"], 2, "bad.yaml:1: train.degradation: 'hevy' should be"),
        (["a.png", "--params", "absent.yaml"], 2, "absent.yaml: not found in "),
        (["a.png", "--draws", "0"], 2, "--draws: "),
        ([], 2, "PICTURE"),
    ],
)
def test_mistakes_are_named(folder: Path, arguments: list[str], code: int, problem: str) -> None:
    for name in ("b", "folder.png"):
        (folder / name).mkdir(exist_ok=True)
    result = pipeline(folder, "degrade", *arguments)
    assert (result.code, len(result.problems)) == (code, 1)
    assert problem in result.err
    assert not (folder / "degraded.png").exists()
    assert (folder / "old.png").read_bytes() == b"mine"


def test_the_most_detailed_part_is_shown() -> None:
    pixels = np.full((100, 140, 3), 90, np.uint8)
    pixels[41:57, 99:115] = np.random.default_rng(1).integers(0, 255, (16, 16, 3))
    shown = detailed_crop(pixels, 18, 4)
    assert shown.shape == (16, 16, 3)
    assert np.array_equal(shown, pixels[41:57, 99:115])
    assert detailed_crop(pixels, 500, 8).shape == (96, 136, 3)
