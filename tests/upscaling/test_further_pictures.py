"""Pictures of a file beside the first."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from pipeline.images.endings import end_of_picture
from pipeline.images.recognition import HEAD_BYTES, readable_format
from pipeline.images.tiff_samples import MIN_IS_BLACK, readable_tiff
from pipeline.upscaling import further_pictures as module
from tests.images.files import tiff_file

FOLLOWS = "another picture follows the first; only the first is enlarged"


def encoded(format: str, mode: str = "RGB", **options: object) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((40, 30), 80).convert(mode).save(file, format, **options)
    return file.getvalue()


def further_pictures(data: bytes) -> str | None:
    format = readable_format(data[:HEAD_BYTES])
    return module.further_pictures(data, format, end_of_picture(data, format))


FILES = {
    "JPEG": encoded("JPEG"),
    "progressive JPEG": encoded("JPEG", progressive=True),
    "PNG": encoded("PNG"),
    "GIF": encoded("GIF", "P"),
    "WEBP": encoded("WEBP"),
    "BMP": encoded("BMP"),
    "AVIF": encoded("AVIF"),
    "JPEG2000": encoded("JPEG2000"),
    "animated GIF": encoded(
        "GIF", "P", save_all=True, append_images=[Image.effect_noise((40, 30), 9).convert("P")]
    ),
}


@pytest.mark.parametrize("first", FILES)
@pytest.mark.parametrize("second", FILES)
def test_a_second_picture_is_noticed(first: str, second: str) -> None:
    assert further_pictures(FILES[first] + FILES[second]) == FOLLOWS
    assert further_pictures(FILES[first] + bytes(20) + FILES[second]) == FOLLOWS


@pytest.mark.parametrize("first", FILES)
@pytest.mark.parametrize("rest", [b"", bytes(1000), b"\r\n", b"<?xpacket end?>", b"\xff\xd8"])
def test_one_picture_is_one(first: str, rest: bytes) -> None:
    assert further_pictures(FILES[first] + rest) is None


@pytest.mark.parametrize("first", FILES)
def test_a_file_that_is_cut_is_no_error(first: str) -> None:
    for end in range(0, len(FILES[first]), 97):
        assert further_pictures(FILES[first][:end]) is None


def test_the_pages_of_a_tiff_are_counted() -> None:
    pages = [Image.new("L", (8, 8)) for _ in range(2)]
    file = encoded("TIFF", save_all=True, append_images=pages)
    assert further_pictures(file) == "holds 3 pictures; only the first is enlarged"
    assert further_pictures(encoded("TIFF")) is None


def test_the_pages_of_a_tiff_that_pillow_does_not_open_are_counted() -> None:
    one = tiff_file(np.zeros((2, 2, 2), np.uint16), MIN_IS_BLACK, extra=2)
    (start,) = struct.unpack_from("<I", one, 4)
    (count,) = struct.unpack_from("<H", one, start)
    next_at = start + 2 + 12 * count
    readable = readable_tiff(one)
    assert readable is not None
    second = readable[0][start : next_at + 4]
    two = one[:next_at] + struct.pack("<I", len(one)) + one[next_at + 4 :] + second
    assert further_pictures(one) is None
    assert further_pictures(two) == "holds 2 pictures; only the first is enlarged"


def test_the_second_picture_of_an_mpo_is_noticed() -> None:
    file = encoded("MPO", save_all=True, append_images=[Image.new("RGB", (8, 8))])
    assert further_pictures(file) == FOLLOWS
    # A preview in the metadata is none.
    exif = Image.Exif()
    preview = encoded("JPEG", exif=exif.tobytes(), comment=FILES["JPEG"][:60000])
    assert further_pictures(preview) is None
