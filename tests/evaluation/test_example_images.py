"""Which pictures and which parts of them are shown."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.evaluation.example_images import (
    CELL,
    GAP,
    MAX_ROWS,
    TEXT_HEIGHT,
    Box,
    ExampleImage,
    choose_crop,
    choose_images,
    draw_examples,
)
from pipeline.evaluation.measurement import METRIC_BY_KEY


def flat(side: int = 64, level: int = 100) -> torch.Tensor:
    return torch.full((3, side, side), level, dtype=torch.uint8)


def test_the_detail_is_where_two_images_differ_most():
    a = flat()
    b = a.clone()
    b[:, 40:44, 20:24] += 90
    b[:, 4:8, 52:56] += 60
    box = choose_crop(a, b, side=16, step=4)
    assert box == Box(left=8, top=28, right=24, bottom=44)


def test_much_everywhere_counts_more_than_a_speck():
    a = flat()
    b = a.clone()
    b[:, 2, 2] += 150
    b[:, 32:48, 16:32] += 5
    assert choose_crop(a, b, side=16, step=4) == Box(16, 32, 32, 48)


def test_equal_images_show_their_first_corner():
    assert choose_crop(flat(), flat(), side=16, step=4) == Box(0, 0, 16, 16)


@pytest.mark.parametrize(("side", "expected"), [(17, 16), (2, 4), (500, 64)])
def test_the_detail_fits_the_image_and_the_scale(side, expected):
    box = choose_crop(flat(), flat(), side, step=4)
    assert (box.right - box.left, box.bottom - box.top) == (expected, expected)


def test_images_from_the_greatest_gain_to_the_least():
    gains = [0.1, 0.5, -0.3, 0.2, 0.4]
    assert choose_images(gains, 5) == [1, 4, 3, 0, 2]
    assert choose_images(gains, 3) == [1, 3, 2]
    assert choose_images(gains, 2) == [1, 2]
    assert choose_images([0.0, 0.0], 9) == [0, 1]


def example() -> ExampleImage:
    original = flat()
    original[0, :32] = 250
    lr = original[:, ::4, ::4].contiguous()
    nearest = lr.repeat_interleave(4, 1).repeat_interleave(4, 2)
    scores = {"nearest": {"psnr_y": 20.126}}
    box = Box(16, 24, 32, 40)
    return ExampleImage(
        "7", lr, {"nearest": nearest}, original, scores, box, [METRIC_BY_KEY["psnr_y"]]
    )


def test_details_of_all_images_show_the_same_part():
    shown = example()
    assert shown.detail("lr").shape == (3, 4, 4)
    assert torch.equal(shown.detail("original"), shown.original[:, 24:40, 16:32])
    assert torch.equal(shown.detail("lr")[:, :, :1], shown.lr[:, 6:10, 4:5])


def large(left: int, top: int) -> ExampleImage:
    lr = torch.arange(3 * 20 * 50, dtype=torch.int64).reshape(3, 20, 50).to(torch.uint8)
    whole = lr.repeat_interleave(4, 1).repeat_interleave(4, 2)
    box = Box(left, top, left + 16, top + 16)
    return ExampleImage("7", lr, {"model": whole.flip(0)}, whole, {}, box, [])


@pytest.mark.parametrize(
    ("left", "top", "part"),
    [(92, 32, Box(68, 8, 132, 72)), (0, 0, Box(0, 0, 64, 64)), (184, 64, Box(136, 16, 200, 80))],
)
def test_of_a_large_picture_the_part_around_the_detail_is_shown(
    left: int, top: int, part: Box
) -> None:
    example = large(left, top)
    cut = example.cut(64)
    assert torch.equal(
        cut.original, example.original[:, part.top : part.bottom, part.left : part.right]
    )
    assert cut.results["model"].shape == cut.original.shape
    assert cut.lr.shape == (3, 16, 16)
    assert cut.cut_from == "200 × 80"
    for name in ("lr", "model", "original"):
        assert torch.equal(cut.detail(name), example.detail(name))


def test_a_small_picture_is_shown_whole_and_a_detail_is_never_cut() -> None:
    example = large(0, 0)
    assert example.cut(200) is example
    assert example.cut(8).detail("original").shape == (3, 16, 16)


def test_a_long_name_stays_in_its_column(tmp_path: Path) -> None:
    short, long = (replace(example(), name=name) for name in ("7", "a/" + "very_long_name" * 9))
    for name, one in (("short", short), ("long", long)):
        draw_examples(tmp_path / f"{name}.png", [one])
    images = [np.asarray(Image.open(tmp_path / f"{name}.png")) for name in ("short", "long")]
    differing = np.flatnonzero((images[0] != images[1]).any(axis=(0, 2)))
    assert differing.max() < CELL + 2 * GAP


def test_the_figure_has_one_row_per_example_and_one_column_per_method(tmp_path):
    path = tmp_path / "comparison.png"
    draw_examples(path, [example(), example()])
    image = Image.open(path)
    assert image.mode == "RGB"
    assert image.width // CELL == 4
    assert image.height // CELL == 2
    pixels = image.load()
    # The last column is the original's detail, pixel by pixel: red above, grey below.
    assert pixels[image.width - CELL // 2, 40] == (250, 100, 100)
    assert pixels[image.width - CELL // 2, 200] == (100, 100, 100)


def test_a_figure_of_many_examples_shows_evenly_spaced_ones(tmp_path: Path) -> None:
    """Of hundreds it would be higher than viewers open."""
    examples = [replace(example(), name=str(number)) for number in range(MAX_ROWS + 9)]
    draw_examples(tmp_path / "all.png", examples)
    draw_examples(tmp_path / "ends.png", [examples[0], examples[-1]])
    heights = {name: Image.open(tmp_path / f"{name}.png").height for name in ("all", "ends")}
    rows = (heights["ends"] - TEXT_HEIGHT - GAP) // 2
    assert heights["all"] == TEXT_HEIGHT + GAP + MAX_ROWS * rows
    images = [np.asarray(Image.open(tmp_path / f"{name}.png")) for name in ("all", "ends")]
    np.testing.assert_array_equal(images[0][-rows:], images[1][-rows:])
