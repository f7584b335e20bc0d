"""Transparent pictures on a colour."""

import numpy as np
import pytest
from PIL import Image, ImageCms

from pipeline.errors import PipelineError
from pipeline.images.cicp import BT709, Cicp
from pipeline.images.icc_profiles import grey_profile, parametric_curve, rgb_profile
from pipeline.images.raster import Raster, srgb_image
from pipeline.upscaling.background import lay_on
from pipeline.upscaling.pictures import Picture
from tests.upscaling.small import noise

LINEAR = rgb_profile(BT709, parametric_curve(1.0))
LINEAR_GREY = grey_profile(parametric_curve(1.0))
P3 = Cicp(12, 13).info(grey=False)["icc_profile"]
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize("colour", ["white", "#102030"])
def test_it_is_what_pillow_composes(colour: str) -> None:
    pixels = noise(16, 16, 4)
    below = Image.new("RGBA", (16, 16), colour)
    expected = np.asarray(Image.alpha_composite(below, Image.fromarray(pixels)))[..., :3]
    result = lay_on(Picture((pixels,)), colour).frames[0]
    assert np.abs(result.astype(int) - expected).max() <= 1


def test_colours_of_16_bits_keep_them() -> None:
    pixels = np.array([[[1000, 2000, 3000, 65535], [5, 5, 5, 0]]], np.uint16)
    result = lay_on(Picture((pixels,)), "#ff8000").frames[0]
    assert result.tolist() == [[[1000, 2000, 3000], [65535, 128 * 257, 0]]]
    assert result.dtype == np.uint16


def clear(channels: int, dtype: type, profile: bytes | None) -> Picture:
    return Picture((np.zeros((2, 2, channels), dtype),), icc_profile=profile)


@pytest.mark.parametrize("colour", [(255, 204, 0), (128, 128, 128), (255, 255, 255), (0, 0, 255)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(
    ("channels", "profile"),
    [
        (4, LINEAR),
        (4, P3),
        (4, SRGB),
        (4, None),
        (2, LINEAR_GREY),
        (2, None),
    ],
)
def test_the_colour_is_shown_whatever_the_profile(
    colour: tuple[int, int, int], dtype: type, channels: int, profile: bytes | None
) -> None:
    result = lay_on(clear(channels, dtype, profile), "#{:02x}{:02x}{:02x}".format(*colour))
    shown = np.asarray(srgb_image(Raster(result.frames[0], result.icc_profile)).convert("RGB"))
    assert np.abs(shown[0, 0].astype(int) - colour).max() <= 2


@pytest.mark.parametrize("profile", [LINEAR_GREY, None])
def test_grey_becomes_srgb_on_a_colour(profile: bytes | None) -> None:
    """The visible part is shown as it was."""
    grey = Picture((np.array([[[55, 255], [0, 0]]], np.uint8),), icc_profile=profile)
    level = 55 if profile is None else 128
    on_white, on_red = lay_on(grey, "white"), lay_on(grey, "red")
    assert (on_white.frames[0].tolist(), on_white.icc_profile) == ([[[55], [255]]], profile)
    assert (on_red.frames[0].tolist(), on_red.icc_profile) == (
        [[[level] * 3, [255, 0, 0]]],
        None,
    )


def test_high_dynamic_range_has_no_such_colour() -> None:
    pixels, pq = noise(4, 4, 4), Cicp(9, 16)
    with pytest.raises(PipelineError, match="high dynamic range"):
        lay_on(Picture((pixels,), cicp=pq), "white")
    opaque = Picture((pixels[..., :3],), cicp=pq)
    assert lay_on(opaque, "white") is opaque


def test_every_frame_is_laid_on_it_and_an_opaque_picture_is_unchanged() -> None:
    clear = np.zeros((2, 2, 4), np.uint8)
    frames = lay_on(Picture((clear, clear), frame_durations_ms=(10, 20)), "lime").frames
    assert [frame[0, 0].tolist() for frame in frames] == [[0, 255, 0]] * 2
    opaque = Picture((noise(2, 2),))
    assert lay_on(opaque, "red") is opaque
