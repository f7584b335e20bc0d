"""Colours of AVIF, JPEG 2000 and BMP files that Pillow skips."""

import struct

import numpy as np
import pytest
from PIL import Image

from pipeline.images.cicp import Cicp
from pipeline.images.decode import ImageRefused, decode
from pipeline.images.skipped_colours import avif_cicp
from tests.images.originals import saved, swapped_profile

COLOUR = (48, 67, 133)


def flat(size: int = 16) -> Image.Image:
    return Image.new("RGB", (size, size), COLOUR)


def avif(
    primaries: int, transfer: int, image: Image.Image | None = None, **options: object
) -> bytes:
    """An AVIF whose boxes give other codes than those that Pillow writes."""
    data = saved(image or flat(), "AVIF", quality=100, subsampling="4:4:4", **options)
    start = data.index(b"nclx") + 4
    old = data[start : start + 4]
    return data.replace(b"nclx" + old, b"nclx" + struct.pack(">HH", primaries, transfer))


def shown(data: bytes) -> list[int]:
    pixels: list[int] = decode(data, 10_000, "#ffffff").pixels[4, 4].tolist()
    return pixels


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ((1, 13), COLOUR),
        ((1, 1), COLOUR),
        ((2, 2), COLOUR),
        ((0, 99), COLOUR),
        ((1, 8), (120, 140, 191)),
        ((12, 13), (42, 68, 138)),
        ((12, 1), (42, 68, 138)),
        ((12, 99), (42, 68, 138)),
    ],
)
def test_avif_is_seen_by_its_codes(codes: tuple[int, int], expected: tuple[int, ...]) -> None:
    assert shown(avif(*codes)) == pytest.approx(expected, abs=3)


def test_a_profile_comes_before_the_codes_of_an_avif() -> None:
    data = avif(12, 13, icc_profile=swapped_profile())
    assert shown(data) == pytest.approx(COLOUR[::-1], abs=3)


def test_an_animation_has_its_codes_too() -> None:
    frames = [flat(), Image.new("RGB", (16, 16))]
    data = avif(12, 13, frames[0], save_all=True, append_images=frames[1:])
    assert avif_cicp(data) == Cicp(12, 13)
    # A file that has tracks alone: its first box `meta` is called otherwise.
    assert avif_cicp(data.replace(b"meta", b"free", 1)) == Cicp(12, 13)


def test_high_dynamic_range_of_an_avif_is_refused_by_name() -> None:
    with pytest.raises(ImageRefused, match=r"high dynamic range \(PQ\)"):
        decode(avif(9, 16), 10_000, "#ffffff")


def test_a_profile_of_jpeg_2000_is_converted() -> None:
    """Pillow writes none: the box of the enumerated colour space becomes one of a profile."""
    data = saved(flat(), "JPEG2000")
    profile = swapped_profile()
    start = data.index(b"colr") - 4
    length = int.from_bytes(data[start : start + 4])
    box = struct.pack(">I4sBBB", 11 + len(profile), b"colr", 2, 0, 0) + profile
    header = data.index(b"jp2h") - 4
    outer = int.from_bytes(data[header : header + 4]) + len(box) - length
    changed = data[:header] + struct.pack(">I", outer) + data[header + 4 : start] + box
    assert shown(changed + data[start + length :]) == pytest.approx(COLOUR[::-1], abs=1)
    assert np.array_equal(shown(data), COLOUR)


@pytest.mark.parametrize(
    ("colour_space", "expected"), [(b"DEBM", COLOUR[::-1]), (b"BGRs", COLOUR)], ids=["MBED", "sRGB"]
)
def test_a_profile_of_a_bmp_is_converted(colour_space: bytes, expected: tuple[int, ...]) -> None:
    """Pillow writes the oldest header, of 40 bytes: that of version 5 has 84 more."""
    data, profile = saved(flat(), "BMP"), swapped_profile()
    pixels = data[54:]
    fields = bytes(16) + colour_space + bytes(48) + struct.pack("<4I", 4, 124 + len(pixels), 0, 0)
    header = struct.pack("<I", 124) + data[18:54] + fields
    header = header[:116] + struct.pack("<I", len(profile)) + header[120:]
    changed = data[:10] + struct.pack("<I", 14 + 124) + header + pixels + profile
    assert shown(changed) == pytest.approx(expected, abs=1)
