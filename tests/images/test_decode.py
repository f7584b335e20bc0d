"""Every odd kind of file that a booru holds becomes its true colours, or is refused by name."""

import errno
import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps

from pipeline.images.decode import ImageRefused, decode, decoding
from pipeline.images.jpeg_segments import scan_count
from pipeline.images.tiff_samples import MIN_IS_BLACK
from tests.images.files import tiff_file, with_chunks
from tests.images.originals import saved, swapped_profile
from tests.mutations import mutations

RED = (200, 40, 60)
SIZE = (24, 16)


def plain(mode: str = "RGB", colour: object = RED) -> Image.Image:
    return Image.new(mode, SIZE, colour)  # type: ignore[arg-type]


def palette() -> Image.Image:
    return plain().quantize(4)


def transparent_palette() -> bytes:
    image = Image.new("P", SIZE, 1)
    image.putpalette([*RED, 0, 0, 255])
    return saved(image, "PNG", transparency=1)


def grey_16_bits() -> bytes:
    return saved(Image.fromarray(np.full(SIZE[::-1], 128 * 257, np.uint16)), "PNG")


def png(depth: int, colour_type: int, row: bytes, *extra: bytes) -> bytes:
    """A PNG that Pillow itself cannot write."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", *SIZE, depth, colour_type, 0, 0, 0)
    pixels = zlib.compress((b"\0" + row) * SIZE[1])
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            *extra,
            chunk(b"IDAT", pixels),
            chunk(b"IEND", b""),
        ]
    )


def rgb_16_bits() -> bytes:
    return png(16, 2, struct.pack(">3H", *(value * 257 for value in RED)) * SIZE[0])


def grey_alpha_16_bits() -> bytes:
    return png(16, 4, struct.pack(">2H", 10 * 257, 0) * SIZE[0])


def animation(format: str) -> bytes:
    frames = [plain(), plain(colour=(0, 0, 0))]
    return saved(frames[0], format, save_all=True, append_images=frames[1:], duration=100)


def nonsense_exif() -> bytes:
    return saved(plain(), "PNG", exif=b"Exif\0\0nothing that a camera wrote")


def frames_without_a_size() -> bytes:
    """Two pages whose second lost its width."""
    data = bytearray(saved(plain(), "TIFF", save_all=True, append_images=[plain()]))
    width = struct.pack("<HHI", 256, 4, 1)
    at = data.rindex(width)
    data[at : at + 2] = struct.pack("<H", 0xFFF0)
    return bytes(data)


def photograph() -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    return Image.fromarray(noise)


def bomb() -> bytes:
    data = bytearray(saved(plain(), "PNG"))
    data[16:24] = struct.pack(">II", 20_000, 20_000)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    return bytes(data)


def large_tile() -> bytes:
    """A TIFF of 8 × 8 pixels in one tile of 4096 × 4096."""
    pixels = zlib.compress(bytes(4096 * 4096))
    tags = {256: 8, 257: 8, 258: 8, 259: 8, 262: 1, 277: 1, 322: 4096, 323: 4096}
    tags |= {324: 8 + 2 + 12 * 10 + 4, 325: len(pixels)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + pixels


def small_bomb() -> bytes:
    return saved(Image.new("1", (1100, 1000)), "PNG")


def many_scans() -> bytes:
    """A progressive JPEG of 640,000 pixels whose last scan, empty, is repeated."""
    data = saved(Image.new("L", (800, 800)), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * 100 + data[-2:]


def grey_and_alpha_in_planes() -> bytes:
    return tiff_file(np.zeros((4, 4, 2), np.uint8), MIN_IS_BLACK, extra=2, planes=True)


ACCEPTED: list[tuple[str, Callable[[], bytes], str, tuple[int, int, int]]] = [
    ("png", lambda: saved(plain(), "PNG"), "PNG", RED),
    ("jpeg", lambda: saved(plain(), "JPEG", quality=100, subsampling=0), "JPEG", RED),
    ("webp", lambda: saved(plain(), "WEBP", lossless=True), "WEBP", RED),
    ("one frame of gif", lambda: saved(palette(), "GIF"), "GIF", RED),
    ("bmp", lambda: saved(plain(), "BMP"), "BMP", RED),
    ("cmyk", lambda: saved(plain("CMYK", (0, 255, 255, 0)), "JPEG"), "JPEG", (255, 0, 0)),
    ("grey", lambda: saved(plain("L", 77), "JPEG", quality=100), "JPEG", (77, 77, 77)),
    ("bits", lambda: saved(plain("1", 1), "PNG"), "PNG", (255, 255, 255)),
    ("16-bit grey", grey_16_bits, "PNG", (128, 128, 128)),
    ("16-bit rgb", rgb_16_bits, "PNG", RED),
    ("16-bit grey, transparent", grey_alpha_16_bits, "PNG", (0, 255, 0)),
    ("palette", lambda: saved(palette(), "PNG"), "PNG", RED),
    ("transparent palette", transparent_palette, "PNG", (0, 255, 0)),
    ("transparent", lambda: saved(plain("RGBA", (9, 9, 9, 0)), "PNG"), "PNG", (0, 255, 0)),
    ("half", lambda: saved(plain("RGBA", (255, 0, 0, 128)), "WEBP", lossless=True), "WEBP",
     (128, 127, 0)),
    ("grey alpha", lambda: saved(plain("LA", (90, 255)), "PNG"), "PNG", (90, 90, 90)),
    ("key colour", lambda: saved(plain(), "PNG", transparency=RED), "PNG", (0, 255, 0)),
    ("broken profile", lambda: saved(plain(), "PNG", icc_profile=b"no profile"), "PNG", RED),
    ("broken EXIF", nonsense_exif, "PNG", RED),
    ("broken second page", frames_without_a_size, "TIFF", RED),
]  # fmt: skip

REFUSED: list[tuple[str, Callable[[], bytes], str]] = [
    ("zero bytes", lambda: b"", "empty"),
    ("web page", lambda: b"<!DOCTYPE html><title>404</title>", "not_an_image"),
    ("truncated jpeg", lambda: saved(photograph(), "JPEG")[:-900], "damaged"),
    ("truncated png", lambda: saved(photograph(), "PNG")[:-900], "damaged"),
    ("truncated webp", lambda: saved(photograph(), "WEBP")[:-900], "damaged"),
    ("animated gif", lambda: animation("GIF"), "animated"),
    ("animated png", lambda: animation("PNG"), "animated"),
    ("animated webp", lambda: animation("WEBP"), "animated"),
    ("float tiff", lambda: saved(plain("F", 0.5), "TIFF"), "unsupported"),
    ("grey and alpha in planes", grey_and_alpha_in_planes, "unsupported"),
    ("more pixels than allowed", small_bomb, "too_many_pixels"),
    ("more pixels than Pillow opens", bomb, "too_many_pixels"),
    ("more pixels in a tile", large_tile, "too_many_pixels"),
    ("more pixels in all scans", many_scans, "too_many_pixels"),
]


@pytest.mark.parametrize(
    ("make", "format", "colour"),
    [case[1:] for case in ACCEPTED],
    ids=[case[0] for case in ACCEPTED],
)
def test_accepted(
    tmp_path: Path, make: Callable[[], bytes], format: str, colour: tuple[int, int, int]
) -> None:
    # The name lies about every one of them.
    path = tmp_path / "picture.tga"
    path.write_bytes(make())
    decoded = decode(path.read_bytes(), 1_000_000, "#00ff00")
    assert decoded.format == format
    assert decoded.pixels.shape == (*SIZE[::-1], 3)
    pixels = decoded.pixels.reshape(-1, 3).astype(int)
    assert np.abs(pixels - colour).max() <= 2


@pytest.mark.parametrize(
    ("make", "reason"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_refused(tmp_path: Path, make: Callable[[], bytes], reason: str) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(make())
    with pytest.raises(ImageRefused) as caught:
        decode(path.read_bytes(), 1_000_000, "#ffffff")
    assert caught.value.reason == reason
    assert caught.value.text
    assert "\n" not in caught.value.text


def cut_jpeg() -> bytes:
    """The lower half is missing, and the end marker is there."""
    data = saved(photograph(), "JPEG", quality=95)
    return data[: len(data) * 2 // 3] + b"\xff\xd9"


def test_a_jpeg_that_decoders_fill_with_grey_is_refused() -> None:
    with pytest.raises(ImageRefused) as caught:
        decode(cut_jpeg(), 1_000_000, "#ffffff")
    assert caught.value.reason == "damaged"
    assert "premature end of data segment" in caught.value.text


def png_with_other_byte(*, crc: bool) -> bytes:
    """A byte of the pixels' chunk is changed, or one of its checksum."""
    data = bytearray(saved(photograph(), "PNG"))
    chunk = data.index(b"IDAT")
    length = struct.unpack_from(">I", data, chunk - 4)[0]
    data[chunk + 4 + (length if crc else length // 2)] ^= 1
    return bytes(data)


def test_a_png_is_whole_by_the_checksum_of_its_pixels() -> None:
    """That of the chunk vouches for the same bytes once more."""
    decoded = decode(png_with_other_byte(crc=True), 1_000_000, "#ffffff")
    assert np.array_equal(decoded.pixels, np.asarray(photograph()))
    with pytest.raises(ImageRefused) as caught:
        decode(png_with_other_byte(crc=False), 1_000_000, "#ffffff")
    assert caught.value.reason == "damaged"


@pytest.mark.parametrize("fault", [MemoryError(), OSError(errno.EIO, "Input/output error")])
def test_what_the_machine_does_wrong_is_no_damage(fault: Exception) -> None:
    with pytest.raises(type(fault)), decoding():
        raise fault
    with pytest.raises(ImageRefused), decoding():
        raise OSError("broken data stream when reading image file")


@pytest.mark.parametrize("name", ["jpeg_of", "damage_of_decoded", "scan_count"])
def test_a_mistake_in_the_program_is_no_damage(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def mistaken(*_: object) -> None:
        raise AttributeError("no such attribute")

    monkeypatch.setattr(f"pipeline.images.decode.{name}", mistaken)
    with pytest.raises(AttributeError):
        decode(saved(plain(), "JPEG"), 1_000_000, "#ffffff")


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
@pytest.mark.parametrize("with_exif", [False, True])
def test_the_orientation_in_xmp_alone_is_not_applied(format: str, with_exif: bool) -> None:
    """As browsers do, whether or not there is EXIF beside it."""
    exif = Image.Exif()
    if with_exif:
        exif[0x010E] = "a title"
    image, xmp = plain().resize((8, 6)), b'<x tiff:Orientation="6"/>'
    options = {"tiffinfo": {700: xmp}} if format == "TIFF" else {"xmp": xmp, "exif": exif}
    data = saved(image, format, **options)
    if format == "PNG":
        data = with_chunks(data, (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp))
    assert decode(data, 1000, "#ffffff").pixels.shape == (6, 8, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_of_a_camera_is_applied(tmp_path: Path, orientation: int) -> None:
    upright = photograph().crop((0, 0, 40, 24))
    undo = {
        2: [Image.Transpose.FLIP_LEFT_RIGHT],
        3: [Image.Transpose.ROTATE_180],
        4: [Image.Transpose.FLIP_TOP_BOTTOM],
        5: [Image.Transpose.TRANSPOSE],
        6: [Image.Transpose.ROTATE_90],
        7: [Image.Transpose.TRANSVERSE],
        8: [Image.Transpose.ROTATE_270],
    }
    stored = upright
    for step in undo.get(orientation, []):
        stored = stored.transpose(step)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "1.png", exif=exif)
    decoded = decode((tmp_path / "1.png").read_bytes(), 1_000_000, "#ffffff")
    assert np.array_equal(decoded.pixels, np.asarray(upright))


@pytest.mark.parametrize("fault", [MemoryError(), OSError(errno.EIO, "Input/output error")])
def test_a_picture_that_the_machine_cannot_turn_is_not_stored_unturned(
    monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise fault

    monkeypatch.setattr(ImageOps, "exif_transpose", fail)
    with pytest.raises(type(fault)):
        decode(saved(plain(), "PNG"), 1_000_000, "#ffffff")


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_an_embedded_profile_is_converted(tmp_path: Path, mode: str) -> None:
    colour = RED if mode == "RGB" else (*RED, 255)
    (tmp_path / "1.png").write_bytes(
        saved(plain(mode, colour), "PNG", icc_profile=swapped_profile())
    )
    decoded = decode((tmp_path / "1.png").read_bytes(), 1_000_000, "#ffffff")
    assert np.abs(decoded.pixels.astype(int) - RED[::-1]).max() <= 2


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_the_profile_of_srgb_changes_no_pixel(tmp_path: Path, mode: str) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = photograph()
    (tmp_path / "1.png").write_bytes(saved(picture.convert(mode), "PNG", icc_profile=profile))
    decoded = decode((tmp_path / "1.png").read_bytes(), 1_000_000, "#ffffff")
    assert np.array_equal(decoded.pixels, np.asarray(picture))


SEEDS = [make() for _, make, _, _ in ACCEPTED] + [make() for _, make, _ in REFUSED]


@pytest.mark.filterwarnings("ignore")
@settings(deadline=5000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(SEEDS).flatmap(mutations))
def test_a_mutation_is_decoded_or_refused_by_name(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "picture"
    path.write_bytes(data)
    try:
        pixels = decode(path.read_bytes(), 1_000_000, "#ffffff").pixels
    except ImageRefused as refused:
        reason = refused.reason
    else:
        reason = ""
        assert pixels.dtype == np.uint8
        assert 0 < pixels.size <= 3_000_000
    known = {"", "empty", "not_an_image", "animated", "too_many_pixels", "unsupported", "damaged"}
    assert reason in known


@pytest.mark.parametrize("progressive", [False, True])
def test_scans_are_those_of_the_picture_alone(progressive: bool) -> None:
    image = photograph()
    plain = saved(image, "JPEG", progressive=progressive)
    usual = 10 if progressive else 1
    assert scan_count(plain) == usual
    profiled = saved(image, "JPEG", progressive=progressive, icc_profile=b"\xff\xda\0\2" * 30_000)
    assert scan_count(profiled + plain * 3) == usual


CUT_HEADERS = [
    *[("PNG", 8), ("PNG", 20), ("GIF", 6), ("AVIF", 33), ("WEBP", 16), ("BMP", 2), ("BMP", 20)],
    *[("JPEG", 3), ("JPEG", 10), ("JPEG", 100), ("JPEG2000", 20), ("TIFF", 4), ("TIFF", 30)],
]


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize(("name", "length"), CUT_HEADERS)
def test_a_file_cut_in_its_header_is_damaged_and_no_unknown_format(name: str, length: int) -> None:
    content = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(content, name)

    with pytest.raises(ImageRefused) as refused:
        decode(content.getvalue()[:length], 64, "#ffffff")

    assert refused.value.reason == "damaged"
    assert refused.value.text == "ends too early; get it again"
