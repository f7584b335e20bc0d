"""Decoding what people have: modes, depth, profiles, orientation, frames, and damage."""

import io
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import png
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from pipeline.images.decode import ImageRefused
from pipeline.upscaling.encoding import encode_picture
from pipeline.upscaling.pictures import Picture, decode_picture
from tests.mutations import mutations
from tests.upscaling.small import noise

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def encoded(image: Image.Image, format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def deep_png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    height, width, channels = pixels.shape
    writer = png.Writer(
        width, height, greyscale=channels < 3, alpha=channels in (2, 4), bitdepth=16
    )
    writer.write(buffer, pixels.reshape(height, -1).tolist())
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("mode", "channels"),
    [("1", 1), ("L", 1), ("LA", 2), ("P", 3), ("RGB", 3), ("RGBA", 4)],
)
def test_png_of_any_mode(mode: str, channels: int) -> None:
    picture = decode_picture(encoded(Image.new(mode, (8, 6)), "PNG"))
    assert picture.frames[0].shape == (6, 8, channels)
    assert not picture.has_16_bits


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_sixteen_bits_are_kept(channels: int) -> None:
    pixels = noise(5, 7, channels, np.uint16)
    picture = decode_picture(deep_png(pixels))
    assert picture.has_16_bits
    assert (picture.frames[0] == pixels).all()


@pytest.mark.parametrize("channels", [2, 4])
def test_alpha_that_hides_nothing_is_dropped(channels: int) -> None:
    pixels = noise(5, 7, channels, np.uint16)
    pixels[..., -1] = 65_535
    assert (decode_picture(deep_png(pixels)).frames[0] == pixels[..., :-1]).all()
    low = Image.fromarray((pixels >> 8).astype(np.uint8))
    assert (np.array(low)[..., -1] == 255).all()
    assert decode_picture(encoded(low, "PNG")).channels == channels - 1


def test_sixteen_bits_are_turned_upright_too() -> None:
    pixels = noise(5, 7, 3, np.uint16)
    exif = Image.Exif()
    exif[0x0112] = 6
    header, *rest = png.Reader(bytes=deep_png(pixels)).chunks()
    turned = io.BytesIO()
    png.write_chunks(turned, [header, (b"eXIf", exif.tobytes()[6:]), *rest])
    upright = decode_picture(turned.getvalue()).frames[0]
    assert (upright == np.rot90(pixels, -1)).all()


def test_a_palette_with_alpha_becomes_rgb_with_alpha() -> None:
    image = Image.new("P", (4, 4))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 1), 1)
    picture = decode_picture(encoded(image, "PNG", transparency=b"\x80\xff"))
    assert picture.frames[0][0, 0].tolist() == [255, 0, 0, 128]
    assert picture.frames[0][1, 1].tolist() == [0, 0, 255, 255]


def test_cmyk_becomes_rgb_without_its_profile() -> None:
    data = encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", icc_profile=SRGB)
    picture = decode_picture(data)
    assert picture.icc_profile is None
    red, green, blue = picture.frames[0][4, 4]
    assert red > 200
    assert max(green, blue) < 60


@pytest.mark.parametrize(
    ("mode", "profile", "kept"),
    [("RGB", SRGB, SRGB), ("L", SRGB, None), ("RGB", b"no profile", None), ("RGB", None, None)],
)
def test_a_profile_is_kept_where_it_fits(
    mode: str, profile: bytes | None, kept: bytes | None
) -> None:
    options = {} if profile is None else {"icc_profile": profile}
    assert decode_picture(encoded(Image.new(mode, (4, 4)), "PNG", **options)).icc_profile == kept


def test_resolution_is_kept() -> None:
    dpi = decode_picture(encoded(Image.new("RGB", (4, 4)), "JPEG", dpi=(300, 150))).dpi
    assert dpi == (300, 150)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_the_cameras_orientation_is_applied(format: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(Image.new("RGB", (8, 6)), format, exif=exif)
    assert decode_picture(data).frames[0].shape == (8, 6, 3)


@pytest.mark.parametrize(("format", "loop"), [("GIF", 2), ("PNG", 2), ("WEBP", 2)])
def test_frames_and_their_times_are_kept(format: str, loop: int) -> None:
    frames = [Image.new("RGB", (6, 5), colour) for colour in ("red", "green", "blue")]
    data = encoded(
        frames[0],
        format,
        save_all=True,
        append_images=frames[1:],
        duration=[40, 80, 120],
        loop=loop,
        **({"lossless": True} if format == "WEBP" else {}),
    )
    picture = decode_picture(data)
    assert [frame[2, 2, :3].tolist() for frame in picture.frames] == [
        [255, 0, 0],
        [0, 128, 0],
        [0, 0, 255],
    ]
    plays = loop + 1 if format == "GIF" else loop
    assert (picture.frame_durations_ms, picture.loops) == ((40, 80, 120), plays)


def test_of_pages_of_a_tiff_the_first_is_taken() -> None:
    pages = [Image.new("RGB", size) for size in ((8, 6), (20, 30))]
    picture = decode_picture(encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:]))
    assert [frame.shape for frame in picture.frames] == [(6, 8, 3)]


def test_an_animations_stand_in_is_no_frame() -> None:
    frames = [Image.new("RGB", (6, 5), colour) for colour in ("white", "red", "blue")]
    data = encoded(
        frames[0], "PNG", save_all=True, default_image=True, append_images=frames[1:], duration=40
    )
    colours = [frame[0, 0].tolist() for frame in decode_picture(data).frames]
    assert colours == [[255, 0, 0], [0, 0, 255]]


@pytest.mark.parametrize(("bits", "level"), [(2, 3), (4, 5), (8, 5)])
def test_a_transparent_grey_of_few_bits(bits: int, level: int) -> None:
    buffer = io.BytesIO()
    writer = png.Writer(2, 1, greyscale=True, bitdepth=bits, transparent=level)
    writer.write(buffer, [[level, 0]])
    grey = level * 255 // (2**bits - 1)
    assert decode_picture(buffer.getvalue()).frames[0].tolist() == [[[grey, 0], [0, 255]]]


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_an_alpha_that_hides_nothing_is_none(mode: str) -> None:
    image = Image.new(mode, (4, 4), "white")
    assert decode_picture(encoded(image, "PNG")).channels == len(mode) - 1


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"no picture", "not_an_image"),
        (encoded(Image.new("RGB", (40, 40)), "PNG")[:60], "damaged"),
        (encoded(Image.new("F", (4, 4)), "TIFF"), "unsupported"),
    ],
    ids=["nothing", "text", "half", "floats"],
)
def test_what_is_no_picture_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(ImageRefused) as refusal:
        decode_picture(data)
    assert refusal.value.reason == reason


@pytest.mark.parametrize("frames", [1, 3])
def test_a_bomb_is_refused_unread(frames: int) -> None:
    images = [Image.new("L", (50, 40 + 50 * (frames == 1)), index) for index in range(frames)]
    data = encoded(images[0], "PNG", save_all=frames > 1, append_images=images[1:])
    with pytest.raises(ImageRefused) as refusal:
        decode_picture(data, max_pixels=4000)
    assert refusal.value.reason == "too_many_pixels"


GOOD = [
    encode_picture(Picture((noise(9, 8),)), "png"),
    encode_picture(Picture((noise(9, 8),)), "jpg"),
    encode_picture(Picture((noise(9, 8, 4),)), "webp"),
    encode_picture(Picture((noise(9, 8), noise(9, 8) // 2), frame_durations_ms=(40, 60)), "gif"),
    encode_picture(Picture((noise(9, 8, 3, np.uint16),)), "png"),
]


@pytest.mark.slow
@given(st.sampled_from(GOOD).flatmap(mutations))
@settings(max_examples=2000, deadline=None)
def test_damage_ends_in_a_picture_or_a_refusal(data: bytes) -> None:
    with suppress(ImageRefused):
        picture = decode_picture(data, max_pixels=100_000)
        assert encode_picture(picture, "png")


def with_image_data(pixels: np.ndarray, change: Callable[[bytes], bytes]) -> bytes:
    """A PNG of 16 bits with one chunk of image data, changed before it is compressed."""
    header, *rest = png.Reader(bytes=deep_png(pixels)).chunks()
    raw = zlib.decompress(b"".join(content for kind, content in rest if kind == b"IDAT"))
    changed = io.BytesIO()
    png.write_chunks(changed, [header, (b"IDAT", zlib.compress(change(raw))), (b"IEND", b"")])
    return changed.getvalue()


def peak_of(decode: Callable[[], object]) -> int:
    """Bytes that Python and numpy hold at once, at most, while `decode` runs."""
    tracemalloc.start()
    try:
        decode()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_no_more_is_inflated_than_the_header_allows() -> None:
    pixels = noise(8, 8, 3, np.uint16)
    data = with_image_data(pixels, lambda raw: raw + bytes(50_000_000))
    assert (decode_picture(data).frames[0] == pixels).all()
    assert peak_of(lambda: decode_picture(data)) < 2_000_000


def test_too_little_image_data_is_damage() -> None:
    data = with_image_data(noise(8, 8, 3, np.uint16), lambda raw: raw[:-1])
    with pytest.raises(ImageRefused, match="truncated"):
        decode_picture(data)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (3, 2), (9, 13)])
def test_interlaced_sixteen_bits_are_kept(size: tuple[int, int], channels: int) -> None:
    pixels = noise(*size, channels, np.uint16)
    buffer = io.BytesIO()
    writer = png.Writer(
        *reversed(size),
        greyscale=channels < 3,
        alpha=channels in (2, 4),
        bitdepth=16,
        interlace=True,
    )
    writer.write(buffer, pixels.reshape(size[0], -1).tolist())
    assert (decode_picture(buffer.getvalue()).frames[0] == pixels).all()


def test_rows_of_every_filter_are_read() -> None:
    def filtered(raw: bytes) -> bytes:
        rows = [raw[start : start + 19] for start in range(0, len(raw), 19)]
        return b"".join(bytes([number % 5]) + row[1:] for number, row in enumerate(rows))

    data = with_image_data(noise(11, 9, 1, np.uint16), filtered)
    by_pillow = np.asarray(Image.open(io.BytesIO(data)))
    assert (decode_picture(data).frames[0][..., 0] == by_pillow).all()


@pytest.mark.parametrize("transparent", [None, (5, 5, 5)])
def test_insignificant_bits_do_not_count(transparent: tuple[int, ...] | None) -> None:
    buffer = io.BytesIO()
    writer = png.Writer(3, 1, greyscale=False, bitdepth=16, transparent=transparent)
    writer.write(buffer, [[5, 5, 5, 65_535, 65_535, 65_535, 32_768, 63, 64]])
    header, *rest = png.Reader(bytes=buffer.getvalue()).chunks()
    with_sbit = io.BytesIO()
    png.write_chunks(with_sbit, [header, (b"sBIT", b"\x0a\x0a\x0a"), *rest])
    pixels = decode_picture(with_sbit.getvalue()).frames[0][0]
    step = 65_535 / 1023
    colours = [[0, 0, 0], [65_535] * 3, [round(512 * step), 0, round(step)]]
    assert pixels[:, :3].tolist() == colours
    assert pixels[:, 3:].ravel().tolist() == ([] if transparent is None else [0, 65_535, 65_535])


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP"])
@pytest.mark.parametrize("bits", [8, 16])
def test_metadata_is_not_inflated_without_bounds(kind: bytes, bits: int) -> None:
    pixels = noise(8, 8, 3, np.uint16)
    data = deep_png(pixels) if bits == 16 else encoded(Image.new("RGB", (8, 8)), "PNG")
    head = {b"zTXt": b"k\0\0", b"iTXt": b"k\0\1\0\0\0", b"iCCP": b"k\0\0"}[kind]
    header, *rest = png.Reader(bytes=data).chunks()
    large = io.BytesIO()
    png.write_chunks(large, [header, (kind, head + zlib.compress(bytes(50_000_000))), *rest])

    def decoded() -> None:
        with suppress(ImageRefused):
            decode_picture(large.getvalue())

    assert peak_of(decoded) < 10_000_000


def test_frames_that_outgrow_an_animation_are_counted() -> None:
    """Pillow enlarges a GIF by frames that reach beyond what its header says."""
    pixel = b"\x02\x02\x44\x01\x00"

    def frame(left: int, top: int) -> bytes:
        return b"\x2c" + struct.pack("<HHHHB", left, top, 1, 1, 0) + pixel

    head = b"GIF89a" + struct.pack("<HHBBB", 8, 8, 0x80, 0, 0) + bytes(6)
    data = head + frame(0, 0) + frame(999, 999) + frame(0, 0) * 20 + b"\x3b"
    with pytest.raises(ImageRefused, match=r"22 frames .* more than 3000000 pixels") as raised:
        decode_picture(data, max_pixels=3_000_000)
    assert raised.value.reason == "too_many_pixels"
    assert peak_of(lambda: decode_picture(head + frame(0, 0) * 2 + b"\x3b")) < 1_000_000
