"""One reader for all stages: modes, 16 bits, orientation, and profiles that do not fit."""

import numpy as np
import pytest
from PIL import Image, ImageCms

from pipeline.images.decode import ImageRefused, decode, opened
from pipeline.images.icc_profiles import grey_profile, parametric_curve
from pipeline.images.raster import Raster, read_raster
from tests.images.files import iccp, png_file, tiff_file, with_chunks
from tests.images.originals import saved, swapped_profile

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
MIN_IS_WHITE, MIN_IS_BLACK, RGB = 0, 1, 2
UNSPECIFIED, PREMULTIPLIED, ALPHA = 0, 1, 2


def noise(channels: int, dtype: type = np.uint16, height: int = 6, width: int = 8) -> np.ndarray:
    random = np.random.default_rng(channels)
    return random.integers(0, np.iinfo(dtype).max + 1, (height, width, channels), dtype)


def read(data: bytes) -> Raster:
    with opened(data, 100_000) as image:
        return read_raster(image, data)


ORDERS = pytest.mark.parametrize("order", ["<", ">"])
STORED = pytest.mark.parametrize("deflate", [False, True])


@ORDERS
@STORED
@pytest.mark.parametrize("channels", [3, 4])
def test_16_bits_of_a_tiff_are_kept(channels: int, order: str, deflate: bool) -> None:
    pixels = noise(channels)
    extra = ALPHA if channels == 4 else None
    data = tiff_file(pixels, RGB, order, deflate=deflate, extra=extra)
    assert np.array_equal(read(data).pixels, pixels)


@ORDERS
@STORED
def test_16_bits_in_planes_are_kept_unless_compressed(order: str, deflate: bool) -> None:
    pixels = noise(3)
    found = read(tiff_file(pixels, RGB, order, deflate=deflate, planes=True)).pixels
    # Pillow gives no more of compressed ones.
    assert np.array_equal(found, (pixels >> 8).astype(np.uint8) if deflate else pixels)


@ORDERS
@STORED
def test_a_channel_of_no_meaning_is_left_out(order: str, deflate: bool) -> None:
    pixels = noise(4)
    data = tiff_file(pixels, RGB, order, deflate=deflate, extra=UNSPECIFIED)
    assert np.array_equal(read(data).pixels, pixels[..., :3])


@ORDERS
@STORED
def test_premultiplied_colours_are_divided_by_alpha(order: str, deflate: bool) -> None:
    pixels = np.array([[[10_000, 0, 20_000, 40_000], [0, 0, 0, 0], [9, 8, 7, 65_535]]], np.uint16)
    data = tiff_file(pixels, RGB, order, deflate=deflate, extra=PREMULTIPLIED)
    expected = [[16_384, 0, 32_768, 40_000], [0, 0, 0, 0], [9, 8, 7, 65_535]]
    assert read(data).pixels[0].tolist() == expected


@ORDERS
@STORED
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("photometric", [MIN_IS_WHITE, MIN_IS_BLACK])
def test_grey_of_a_tiff_is_no_negative(
    dtype: type, photometric: int, deflate: bool, order: str
) -> None:
    pixels = noise(1, dtype)
    stored = np.iinfo(dtype).max - pixels if photometric == MIN_IS_WHITE else pixels
    data = tiff_file(stored, photometric, order, deflate=deflate)
    assert np.array_equal(read(data).pixels, pixels)


@ORDERS
@STORED
@pytest.mark.parametrize("photometric", [MIN_IS_WHITE, MIN_IS_BLACK])
@pytest.mark.parametrize("differences", [False, True])
def test_16_bits_of_grey_and_alpha_are_kept(
    order: str, deflate: bool, photometric: int, differences: bool
) -> None:
    pixels = noise(2)
    stored = pixels.copy()
    if photometric == MIN_IS_WHITE:
        stored[..., 0] = 65_535 - stored[..., 0]
    if differences:
        stored[:, 1:] -= stored[:, :-1].copy()
    data = tiff_file(
        stored, photometric, order, deflate=deflate, extra=ALPHA, predictor=2 if differences else 1
    )
    assert np.array_equal(read(data).pixels, pixels)
    assert decode(data, 100, "#ffffff").pixels.shape == (6, 8, 3)


def test_premultiplied_grey_is_divided_by_alpha() -> None:
    pixels = np.array([[[10_000, 40_000], [0, 0], [9, 65_535]]], np.uint16)
    found = read(tiff_file(pixels, MIN_IS_BLACK, extra=PREMULTIPLIED)).pixels
    assert found[0].tolist() == [[16_384, 40_000], [0, 0], [9, 65_535]]


def test_grey_of_12_bits_reaches_white() -> None:
    stored = np.frombuffer(b"\xff\xf8\x00" * 4, np.uint8).reshape(1, 12, 1)
    levels = read(tiff_file(stored, MIN_IS_BLACK, bits=12)).pixels[0, :2, 0]
    assert levels.tolist() == [65_535, 2048 * 65_535 // 4095]


def test_samples_that_are_not_read_are_refused_as_such() -> None:
    with pytest.raises(ImageRefused, match=r"TIFF .* of other samples") as refused:
        read(tiff_file(noise(2, np.uint32), MIN_IS_BLACK, extra=ALPHA))
    assert refused.value.reason == "unsupported"


@pytest.mark.parametrize("photometric", [MIN_IS_WHITE, MIN_IS_BLACK])
def test_bilevel_pictures_are_no_negatives(photometric: int) -> None:
    stored = np.full((1, 1, 1), 0b1010_0000, np.uint8)
    data = tiff_file(stored, photometric, bits=1)
    expected = [255, 0, 255, 0] if photometric == MIN_IS_BLACK else [0, 255, 0, 255]
    assert read(data).pixels[0, :4, 0].tolist() == expected


def test_stages_see_16_bits_alike() -> None:
    """Rounded, not cut to the upper byte."""
    data = tiff_file(np.full((2, 2, 3), (0x8080, 0x8180, 0x807F), np.uint16), RGB)
    assert decode(data, 100, "#ffffff").pixels[0, 0].tolist() == [128, 129, 128]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("interlace", [False, True])
def test_16_bits_of_a_png_are_kept(channels: int, interlace: bool) -> None:
    pixels = noise(channels)
    assert np.array_equal(read(png_file(pixels, interlace=interlace)).pixels, pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["png", "tiff", "grey and alpha"])
def test_16_bits_are_turned_as_8_are(orientation: int, kind: str) -> None:
    pixels = noise(2 if kind == "grey and alpha" else 3, height=3, width=5)
    exif = Image.Exif()
    exif[274] = orientation
    low = saved(Image.fromarray((pixels >> 8).astype(np.uint8)), "PNG", exif=exif)
    data = tiff_file(pixels, RGB, orientation=orientation)
    if kind == "png":
        data = png_file(pixels, (b"eXIf", exif.tobytes()[6:]))
    if kind == "grey and alpha":
        stored = np.diff(pixels, axis=1, prepend=np.uint16(0))
        data = tiff_file(stored, MIN_IS_BLACK, extra=ALPHA, orientation=orientation, predictor=2)
    assert np.array_equal(read(data).pixels >> 8, read(low).pixels)


@pytest.mark.parametrize("bits", [b"\0\0\0", b"\x11\x11\x11"])
def test_numbers_of_bits_that_cannot_be_are_ignored(bits: bytes) -> None:
    pixels = noise(3)
    assert np.array_equal(read(png_file(pixels, (b"sBIT", bits))).pixels, pixels)


LINEAR = grey_profile(parametric_curve(1.0))


@pytest.mark.parametrize(
    ("mode", "colour", "profile", "kept", "channels", "shown"),
    [
        ("L", 55, LINEAR, LINEAR, 1, 128),
        ("LA", (55, 255), LINEAR, LINEAR, 1, 128),
        ("LA", (55, 128), LINEAR, LINEAR, 2, 191),
        ("1", 1, LINEAR, LINEAR, 1, 255),
        ("L", 55, SRGB, None, 1, 55),
        ("L", 55, swapped_profile(), swapped_profile(), 3, 55),
        ("LA", (55, 128), swapped_profile(), swapped_profile(), 4, 155),
        ("RGB", (55, 55, 55), LINEAR, None, 3, 55),
        ("RGB", (55, 55, 55), b"no profile", None, 3, 55),
        ("RGB", (55, 55, 55), SRGB, SRGB, 3, 55),
    ],
)
def test_a_profile_of_another_kind_of_picture(
    mode: str, colour: object, profile: bytes, kept: bytes | None, channels: int, shown: int
) -> None:
    """As browsers have it: grey may have a profile for RGB, but not the other way round."""
    image = Image.new(mode, (4, 4), colour)  # type: ignore[arg-type]
    data = with_chunks(saved(image, "PNG"), iccp(profile))
    raster = read(data)
    assert (raster.profile, raster.pixels.shape[2]) == (kept, channels)
    assert decode(data, 100, "#ffffff").pixels[0, 0].tolist() == pytest.approx([shown] * 3, abs=1)


def test_16_bits_of_grey_and_alpha_have_a_profile_for_grey() -> None:
    pixels = np.full((2, 2, 2), (55 * 257, 65_535), np.uint16)
    data = png_file(pixels, iccp(LINEAR))
    assert read(data).profile == LINEAR
    assert decode(data, 100, "#ffffff").pixels[0, 0].tolist() == pytest.approx([128] * 3, abs=1)


def test_lab_becomes_srgb() -> None:
    """Lightness 50 is a grey of 119."""
    data = saved(Image.new("LAB", (4, 4), (128, 128, 128)), "TIFF")
    assert read(data).pixels[0, 0].tolist() == pytest.approx([119] * 3, abs=1)
