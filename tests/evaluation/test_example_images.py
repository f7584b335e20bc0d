"""Which pictures and which parts of them are shown."""

import pytest
import torch
from PIL import Image

from pipeline.evaluation.example_images import (
    CELL,
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
