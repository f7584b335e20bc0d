"""What is measured of an original's compression and of an image's looks."""

import io

import numpy as np
import pytest
from PIL import Image

from pipeline.images.quality import Jpeg, colourfulness, contrast, jpeg_of
from tests.images.originals import saved

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


def with_factors(data: bytes, *factors: int) -> bytes:
    """Write other sampling factors, across × 16 + down, into a JPEG's frame header."""
    at = data.index(b"\xff\xc0") + 11
    changed = bytearray(data)
    for number, factor in enumerate(factors):
        changed[at + 3 * number] = factor
    return bytes(changed)


@pytest.mark.parametrize(
    ("mode", "factors", "subsampling"),
    [
        ("CMYK", (0x11, 0x11, 0x11, 0x11), "4:4:4"),
        ("CMYK", (0x22, 0x11, 0x11, 0x22), "4:2:0"),
        ("CMYK", (0x21, 0x11, 0x11, 0x21), "4:2:2"),
        ("RGB", (0x22, 0x22, 0x22), "4:4:4"),
        ("RGB", (0x22, 0x21, 0x21), "other"),
        ("RGB", (0x22, 0x11, 0x22), "other"),
    ],
)
def test_subsampling_is_that_of_chroma_by_luma(
    mode: str, factors: tuple[int, ...], subsampling: str
) -> None:
    data = saved(Image.fromarray(NOISE).convert(mode), "JPEG", quality=90)
    found = jpeg_of(Image.open(io.BytesIO(with_factors(data, *factors))))
    assert found == Jpeg(90, subsampling)


def test_the_quality_is_that_of_luma_wherever_its_table_is() -> None:
    data = saved(Image.fromarray(NOISE), "JPEG", quality=80)
    luma = data.index(b"\xff\xdb")
    chroma = data.index(b"\xff\xdb", luma + 1)
    size = chroma - luma
    tables = data[chroma : chroma + size] + data[luma:chroma]
    swapped = data[:luma] + tables + data[chroma + size :]
    assert jpeg_of(Image.open(io.BytesIO(swapped))) == jpeg_of(Image.open(io.BytesIO(data)))


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
