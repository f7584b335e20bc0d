"""Encoding: what comes back, and what a format cannot hold."""

import io
import tracemalloc

import numpy as np
import pytest
from PIL import Image, ImageCms

from pipeline.errors import PipelineError
from pipeline.images.cicp import Cicp
from pipeline.images.decode import decode
from pipeline.images.icc_profiles import grey_profile, parametric_curve
from pipeline.upscaling.encoding import encode_picture, encoded_parts, encoder_bytes
from pipeline.upscaling.pictures import Picture, decode_picture
from tests.images.originals import swapped_profile
from tests.upscaling.small import noise

LINEAR_GREY = grey_profile(parametric_curve(1.0))
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize("format", ["png", "webp"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_lossless_formats_return_every_pixel(format: str, channels: int) -> None:
    pixels = noise(9, 8, channels)
    back = decode_picture(encode_picture(Picture((pixels,)), format)).frames[0]
    if channels in (2, 4):
        visible = pixels[..., -1] > 0
        assert (back[..., -1] == pixels[..., -1]).all()
        pixels, back = pixels[visible][:, :-1], back[visible][:, :-1]
    assert (back == pixels).all()


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_sixteen_bits_with_profile_and_resolution(channels: int) -> None:
    pixels = noise(9, 8, channels, np.uint16)
    profile = SRGB if channels > 2 else None
    data = encode_picture(Picture((pixels,), profile, (300.0, 300.0)), "png")
    back = decode_picture(data)
    assert (back.frames[0] == pixels).all()
    assert back.icc_profile == profile
    assert back.dpi == pytest.approx((300, 300), abs=0.1)
    with Image.open(io.BytesIO(data)) as image:
        image.load()


def test_sixteen_bits_are_encoded_without_a_copy() -> None:
    picture = Picture((noise(500, 1000, 3, np.uint16),))
    tracemalloc.start()
    try:
        size = sum(len(part) for part in encoded_parts(picture, "png"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert encoder_bytes("png", picture, 1000, 500) == 0
    assert peak < size / 4


@pytest.mark.parametrize("format", ["png", "webp", "jpg"])
def test_profile_and_resolution_are_written(format: str) -> None:
    data = encode_picture(Picture((noise(9, 8),), SRGB, (300.0, 300.0)), format)
    with Image.open(io.BytesIO(data)) as image:
        assert image.info["icc_profile"] == SRGB
        if format != "webp":
            assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)


def test_sixteen_bits_become_the_nearest_eight_elsewhere() -> None:
    levels = np.array([[[0], [128], [129], [257 * 128], [65535]]], np.uint16)
    back = decode_picture(encode_picture(Picture((levels,)), "webp")).frames[0]
    assert back[0, :, 0].tolist() == [0, 0, 1, 128, 255]


@pytest.mark.parametrize("loops", [0, 1, 5])
@pytest.mark.parametrize("format", ["png", "webp", "gif"])
def test_animations_come_back(format: str, loops: int) -> None:
    frames = tuple(np.full((5, 6, 3), level, np.uint8) for level in (0, 128, 255))
    picture = Picture(frames, frame_durations_ms=(40, 80, 120), loops=loops)
    back = decode_picture(encode_picture(picture, format))
    assert [int(frame[0, 0, 0]) for frame in back.frames] == [0, 128, 255]
    assert (back.frame_durations_ms, back.loops) == ((40, 80, 120), loops)


def test_gif_shows_a_pixel_or_does_not() -> None:
    """In the second frame what the first one showed is gone."""
    left, right = np.zeros((2, 8, 16, 4), np.uint8)
    left[:, :4] = (255, 0, 0, 255)
    right[:, 12:] = (0, 0, 255, 255)
    left[:, 8:10], right[:, :2] = (9, 9, 9, 127), (0, 255, 0, 128)
    picture = Picture((left, right), frame_durations_ms=(40, 40))
    back = decode_picture(encode_picture(picture, "gif"))
    for frame, original in zip(back.frames, picture.frames, strict=True):
        assert (frame[..., 3] == np.where(original[..., 3] >= 128, 255, 0)).all()


@pytest.mark.parametrize("format", ["png", "webp", "gif"])
def test_times_that_a_format_cannot_hold_are_its_longest(format: str) -> None:
    frames = (noise(4, 4), noise(4, 4) // 2)
    picture = Picture(frames, frame_durations_ms=(40, 10**7), loops=10**6)
    assert len(decode_picture(encode_picture(picture, format)).frames) == 2


def test_quality_is_of_jpeg_and_webp() -> None:
    picture = Picture((noise(40, 40),))
    for format in ("jpg", "webp"):
        sizes = [len(encode_picture(picture, format, quality)) for quality in (20, 90, None)]
        assert sizes == sorted(sizes)
        assert len(set(sizes)) == 3


@pytest.mark.parametrize(
    ("picture", "format", "message"),
    [
        (Picture((noise(4, 4, 4),)), "jpg", "JPEG has no transparency"),
        (Picture((noise(4, 4), noise(4, 4))), "jpg", "JPEG has no animations"),
        (Picture((noise(4, 4),), cicp=Cicp(9, 16)), "webp", r"webp has no .* range \(PQ\)"),
        (Picture((noise(4, 4),), cicp=Cicp(9, 18)), "gif", r"gif has no .* range \(HLG\)"),
        (Picture((noise(1, 16384),)), "webp", "webp has no picture of 16384×1"),
        (Picture((noise(1, 65501),)), "jpg", "jpg has no picture of 65501×1"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(picture: Picture, format: str, message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        encode_picture(picture, format)


@pytest.mark.parametrize("frames", [1, 2])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_high_dynamic_range_is_kept_in_png(dtype: type, frames: int) -> None:
    pixels = tuple(noise(4, 4, 3, dtype) // (number + 1) for number in range(frames))
    picture = Picture(pixels, frame_durations_ms=(40,) * frames, cicp=Cicp(9, 16))
    assert decode_picture(encode_picture(picture, "png")).cicp == Cicp(9, 16)


@pytest.mark.parametrize(
    ("format", "channels", "profile", "kept", "colour"),
    [
        ("gif", 3, swapped_profile(), None, (60, 40, 200)),
        ("gif", 1, LINEAR_GREY, None, (229, 229, 229)),
        ("webp", 1, LINEAR_GREY, None, (229, 229, 229)),
        ("webp", 2, LINEAR_GREY, None, (229, 229, 229)),
        ("webp", 3, swapped_profile(), swapped_profile(), (60, 40, 200)),
        ("jpg", 1, LINEAR_GREY, LINEAR_GREY, (229, 229, 229)),
        ("png", 2, LINEAR_GREY, LINEAR_GREY, (229, 229, 229)),
    ],
)
def test_colours_are_converted_where_a_format_lacks_profiles(
    format: str, channels: int, profile: bytes, kept: bytes | None, colour: tuple[int, ...]
) -> None:
    pixels = np.full((4, 4, channels), (200, 40, 60, 255)[:channels], np.uint8)
    if channels == 2:
        pixels[..., 1] = 255
        pixels[0, 0, 1] = 0
    data = encode_picture(Picture((pixels,), profile), format)
    assert decode_picture(data).icc_profile == kept
    assert decode(data, 100, "#000000").pixels[2, 2].tolist() == pytest.approx(colour, abs=2)


def test_a_grey_animation_keeps_its_look() -> None:
    """Its frames become RGB, of which the profile for grey says nothing."""
    images = [Image.new("L", (4, 4), level) for level in (200, 1)]
    buffer = io.BytesIO()
    images[0].save(
        buffer, "PNG", save_all=True, append_images=images[1:], duration=40, icc_profile=LINEAR_GREY
    )
    picture = decode_picture(buffer.getvalue())
    assert picture.icc_profile is None
    assert [int(frame[0, 0, 0]) for frame in picture.frames] == [229, 13]
