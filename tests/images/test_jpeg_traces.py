"""Traces of JPEG in pixels."""

import io

import numpy as np
import pytest
from PIL import Image

from pipeline.drawings import draw
from pipeline.images.jpeg_traces import traced_jpeg_quality

Size = tuple[int, int]


@pytest.fixture(scope="module")
def drawings() -> list[Image.Image]:
    return [draw(seed).image.resize((240, 320), Image.Resampling.BICUBIC) for seed in range(4)]


def through_jpeg(image: Image.Image, quality: int, subsampling: str = "4:4:4") -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality, subsampling=subsampling)
    return Image.open(file)


def traced(image: Image.Image) -> int | None:
    pixels = np.asarray(image)
    return traced_jpeg_quality(pixels.reshape(*pixels.shape[:2], -1))


@pytest.mark.parametrize("quality", [90, 93, 94, 95])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
@pytest.mark.parametrize("corner", [(0, 0), (3, 6)])
def test_the_quality_is_found(
    drawings: list[Image.Image], quality: int, subsampling: str, corner: Size
) -> None:
    for drawing in drawings:
        jpeg = through_jpeg(drawing, quality, subsampling)
        assert traced(jpeg.crop((*corner, *drawing.size))) == quality


@pytest.mark.parametrize("quality", [20, 30, 60, 80])
def test_hard_compression_is_found_as_such(drawings: list[Image.Image], quality: int) -> None:
    for drawing in drawings:
        found = traced(through_jpeg(drawing, quality))
        assert found is not None
        assert quality <= found < 90


def test_grey_and_turned_pictures_have_the_same_traces(drawings: list[Image.Image]) -> None:
    assert traced(through_jpeg(drawings[0].convert("L"), 90)) == 90
    assert traced(through_jpeg(drawings[0], 90).transpose(Image.Transpose.ROTATE_90)) == 90


def test_alpha_hides_no_traces(drawings: list[Image.Image]) -> None:
    """Neither where it is opaque nor where one pixel is not."""
    for drawing in drawings:
        pixels = np.asarray(through_jpeg(drawing, 60))
        alpha = np.full((*pixels.shape[:2], 1), 255, np.uint8)
        expected = traced_jpeg_quality(pixels)
        for value in (255, 128):
            alpha[0, 0] = value
            assert traced_jpeg_quality(np.concatenate([pixels, alpha], 2)) == expected


def test_other_pictures_have_none(drawings: list[Image.Image]) -> None:
    drawing = drawings[0]
    noise = np.random.default_rng(0).normal(0, 4, (320, 240, 3))
    small = drawing.resize((40, 50))
    others = [
        drawing,
        drawing.quantize(32).convert("RGB"),
        drawing.convert("1").convert("L"),
        Image.fromarray((np.asarray(drawing) + noise).clip(0, 255).astype(np.uint8)),
        *(small.resize((40 * k, 50 * k), Image.Resampling.NEAREST) for k in (2, 4, 8)),
        small.resize((320, 400), Image.Resampling.BILINEAR),
        Image.new("RGB", (200, 200), "white"),
        Image.effect_noise((200, 200), 60),
    ]
    assert [traced(other) for other in others] == [None] * len(others)


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (16, 16), (15, 40), (30, 20)])
def test_small_pictures_are_no_error(drawings: list[Image.Image], size: Size) -> None:
    traced(through_jpeg(drawings[0].resize(size), 60))
