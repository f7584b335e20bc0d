"""The quantiser of AVIF files."""

import io
from typing import Any

import pytest
from PIL import Image

from pipeline.images.avif_quality import Avif, avif_of
from pipeline.images.heif_items import av1_extents
from pipeline.images.iso_boxes import meta_boxes

EXIF = Image.Exif()
EXIF[315] = "somebody"


def avif(size: tuple[int, int] = (40, 30), mode: str = "RGB", **options: Any) -> bytes:
    file = io.BytesIO()
    picture = Image.linear_gradient("L").resize(size).convert(mode)
    picture.save(file, "AVIF", speed=10, **options)
    return file.getvalue()


def quantiser(quality: int) -> int:
    """What libavif's quality stands for (`avifQualityToQuantizer`), in AV1's steps."""
    level = ((100 - quality) * 63 + 50) // 100
    return {62: 249, 63: 255}.get(level, 4 * level)


@pytest.mark.parametrize("quality", [0, 30, 60, 75, 90, 99])
@pytest.mark.parametrize("size", [(1, 1), (40, 30), (500, 65), (65, 500), (4100, 64)])
def test_it_is_what_libavif_writes_for_a_quality(quality: int, size: tuple[int, int]) -> None:
    data = avif(size, quality=quality, advanced={"tune": "ssim"})
    assert avif_of(data) == Avif(quantiser(quality), True)


@pytest.mark.parametrize(
    "options",
    [
        {"tile_rows": 2, "tile_cols": 2},
        {"subsampling": "4:4:4"},
        {"subsampling": "4:2:2"},
        {"subsampling": "4:0:0"},
        {"mode": "RGBA"},
        {"icc_profile": b"profile"},
        {"exif": EXIF},
        {"advanced": {"tune": "ssim", "tune-content": "screen"}},
    ],
)
def test_nothing_else_in_the_file_changes_it(options: dict[str, Any]) -> None:
    options = {"advanced": {"tune": "ssim"}} | options
    is_subsampled = options.get("subsampling") != "4:4:4"
    assert avif_of(avif((300, 260), quality=75, **options)) == Avif(quantiser(75), is_subsampled)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        avif(quality=100, subsampling="4:4:4"),
        avif(save_all=True, append_images=[Image.new("RGB", (40, 30), "red")]),
    ],
)
def test_of_lossless_files_and_animations_there_is_none(data: bytes) -> None:
    assert avif_of(data) is None


def test_a_cut_file_is_no_error() -> None:
    data = avif()
    for length in range(len(data)):
        avif_of(data[:length])


def test_of_a_picture_of_several_parts_it_is_that_of_the_first() -> None:
    data = avif(mode="RGBA", quality=75, advanced={"tune": "ssim"})
    item = data.index(b"pitm") + 8
    assert data[item : item + 2] == b"\0\1"
    assert avif_of(data[:item] + b"\0\x09" + data[item + 2 :]) == Avif(quantiser(75), True)


def test_parts_that_take_no_bytes_are_listed_once() -> None:
    data = avif()
    start, end = meta_boxes(data)[b"iloc"]
    # Version, flags and sizes, one item: its number, its source, and 65 535 parts.
    box = bytes(4 + 2) + b"\0\1" + b"\0\1" + bytes(2) + b"\xff\xff"
    assert len(list(av1_extents(data[:start] + box.ljust(end - start, b"\0") + data[end:]))) == 1
