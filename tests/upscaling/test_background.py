"""Transparent pictures on a colour."""

import numpy as np
import pytest
from PIL import Image

from pipeline.upscaling.background import lay_on
from pipeline.upscaling.pictures import Picture
from tests.upscaling.small import noise


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


def test_grey_stays_grey_on_grey_and_loses_its_profile_on_a_colour() -> None:
    grey = Picture((noise(4, 4, 2),), icc_profile=b"profile")
    on_white, on_red = lay_on(grey, "white"), lay_on(grey, "red")
    assert (on_white.channels, on_white.icc_profile) == (1, b"profile")
    assert (on_red.channels, on_red.icc_profile) == (3, None)


def test_every_frame_is_laid_on_it_and_an_opaque_picture_is_unchanged() -> None:
    clear = np.zeros((2, 2, 4), np.uint8)
    frames = lay_on(Picture((clear, clear), frame_durations_ms=(10, 20)), "lime").frames
    assert [frame[0, 0].tolist() for frame in frames] == [[0, 255, 0]] * 2
    opaque = Picture((noise(2, 2),))
    assert lay_on(opaque, "red") is opaque
