"""What is measured of an original's compression and of an image's looks."""

import io

import numpy as np
import pytest
from PIL import Image

from pipeline.images.quality import Jpeg, colourfulness, contrast, jpeg_of

NOISE = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)


def opened(image: Image.Image, kind: str = "JPEG", **options: object) -> Image.Image:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return Image.open(file)


@pytest.mark.parametrize("quality", [1, 10, 25, 49, 50, 60, 75, 85, 92, 95, 99, 100])
def test_the_quality_that_was_asked_for_is_estimated(quality: int) -> None:
    found = jpeg_of(opened(Image.fromarray(NOISE), quality=quality))
    assert found is not None
    assert found.quality == quality


@pytest.mark.parametrize(("option", "subsampling"), [(0, "4:4:4"), (1, "4:2:2"), (2, "4:2:0")])
def test_subsampling(option: int, subsampling: str) -> None:
    found = jpeg_of(opened(Image.fromarray(NOISE), quality=90, subsampling=option))
    assert found == Jpeg(90, subsampling)


def test_grey_has_no_chroma_to_halve() -> None:
    assert jpeg_of(opened(Image.fromarray(NOISE).convert("L"), quality=90)) == Jpeg(90, "4:4:4")


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_other_formats_have_none(kind: str) -> None:
    assert jpeg_of(opened(Image.fromarray(NOISE), kind)) is None


def test_looks() -> None:
    flat = np.full((8, 8, 3), 77, np.uint8)
    assert (contrast(flat), colourfulness(flat)) == (0.0, 0.0)
    halves = flat.copy()
    halves[:, :4], halves[:, 4:] = 0, 255
    assert (contrast(halves), colourfulness(halves)) == (127.5, 0.0)
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = 200
    assert (contrast(red), colourfulness(red)) == (0.0, 200.0)
