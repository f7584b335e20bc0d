"""The quantiser of WebP files."""

import io
from typing import Any

import pytest
from PIL import Image

from pipeline.images.webp_quality import webp_quantiser


def webp(**options: Any) -> bytes:
    picture = Image.radial_gradient("L").convert("RGB")
    file = io.BytesIO()
    picture.save(file, "WEBP", **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("quality", "quantiser"), [(0, 127), (50, 52), (75, 36), (80, 27), (85, 20), (90, 12), (100, 0)]
)
@pytest.mark.parametrize("method", [4, 6])
def test_it_is_what_libwebp_writes_for_a_quality(quality: int, quantiser: int, method: int) -> None:
    assert webp_quantiser(webp(quality=quality, method=method)) == quantiser


def test_of_an_animation_it_is_the_first_frames() -> None:
    others = [Image.new("RGB", (256, 256), "red")]
    assert webp_quantiser(webp(quality=75, method=4, save_all=True, append_images=others)) == 36


def test_beside_a_profile_it_is_found() -> None:
    assert webp_quantiser(webp(quality=75, icc_profile=b"profile")) == 36


@pytest.mark.parametrize("data", [b"", b"RIFF", webp(lossless=True), b"RIFF1234WEBPVP8X"])
def test_without_a_lossy_picture_there_is_none(data: bytes) -> None:
    assert webp_quantiser(data) is None


def test_a_cut_file_is_no_error() -> None:
    data = webp(quality=75)
    for length in range(min(len(data), 80)):
        webp_quantiser(data[:length])


def test_an_animation_of_empty_frames_has_none() -> None:
    frame = b"ANMF" + (16).to_bytes(4, "little") + bytes(16)
    assert webp_quantiser(b"RIFF" + bytes(4) + b"WEBP" + frame * 5000) is None
