"""What a PNG says of its colours, by precedence, and text of any size."""

import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from pipeline.images.cicp import Cicp
from pipeline.images.decode import ImageRefused, decode, opened
from pipeline.images.png_chunks import (
    MAX_INFLATED_TEXTS,
    MAX_PROFILE_BYTES,
    MAX_TEXTS,
    pixels_in_png,
    read_png,
)
from tests.images.files import chrm, gama, iccp, png_file
from tests.images.originals import swapped_profile

P3 = ((0.3127, 0.3290), (0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
CICP_P3 = (b"cICP", bytes((12, 13, 0, 1)))
SRGB = (b"sRGB", b"\0")
SWAPPED = iccp(swapped_profile())
Chunk = tuple[bytes, bytes]

COLOUR = (48, 67, 133)
IN_SRGB_OF_P3 = (42, 68, 138)


def flat(*chunks: Chunk, colour: tuple[int, ...] = COLOUR) -> bytes:
    return png_file(np.full((3, 4, len(colour)), colour, np.uint8), *chunks)


def shown(data: bytes) -> list[int]:
    """The colour of the first pixel in sRGB."""
    pixels: list[int] = decode(data, 10_000, "#ffffff").pixels[0, 0].tolist()
    return pixels


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ((), COLOUR),
        ((CICP_P3,), IN_SRGB_OF_P3),
        ((SWAPPED,), COLOUR[::-1]),
        ((CICP_P3, SWAPPED, SRGB, gama(1)), IN_SRGB_OF_P3),
        ((SWAPPED, SRGB, gama(1)), COLOUR[::-1]),
        ((SRGB, gama(1), chrm(*P3)), COLOUR),
        ((gama(1),), (120, 140, 191)),
        ((gama(0.45455),), COLOUR),
        ((gama(0.47),), COLOUR),
        ((gama(0.5),), (53, 74, 142)),
        ((gama(0.45455), chrm(*P3)), (38, 66, 139)),
        ((chrm(*P3),), COLOUR),
    ],
    ids=["none", "cICP", "iCCP", "cICP first", "iCCP second", "sRGB third", "gAMA", "gAMA of sRGB",
         "near it", "not so near", "gAMA and cHRM", "cHRM alone"],
)  # fmt: skip
def test_colours_are_as_in_a_browser(chunks: tuple[Chunk, ...], expected: tuple[int, ...]) -> None:
    assert shown(flat(*chunks)) == pytest.approx(expected, abs=1)


@pytest.mark.parametrize(
    "chunk",
    [
        (b"cICP", bytes((12, 13, 0))),
        (b"cICP", bytes((12, 13, 1, 1))),
        (b"cICP", bytes((12, 13, 0, 0))),
        (b"cICP", bytes((12, 200, 0, 1))),
        (b"cICP", bytes((0, 13, 0, 1))),
        (b"iCCP", b"broken\0\0nothing"),
        iccp(b"no profile"),
        gama(0),
        gama(40_000),
        (b"gAMA", b""),
    ],
    ids=["short cICP", "cICP with a matrix", "television's levels",
         "unknown transfer", "unknown primaries", "not compressed", "no profile",
         "gamma 0", "huge gamma", "empty gAMA"],
)  # fmt: skip
def test_what_cannot_be_colours_is_ignored(chunk: Chunk) -> None:
    assert shown(flat(chunk)) == list(COLOUR)


@pytest.mark.parametrize(
    "chromaticities", [((0, 0),) * 4, ((0.3, 0.3),) * 4, ((0.3127, 0.329), *[(40_000, 1e-5)] * 3)]
)
def test_chromaticities_that_span_no_colours_are_ignored(
    chromaticities: tuple[tuple[float, float], ...],
) -> None:
    assert shown(flat(gama(0.45455), chrm(*chromaticities))) == list(COLOUR)


def test_colours_behind_the_pixels_and_with_a_wrong_checksum_are_ignored() -> None:
    data = flat(CICP_P3)
    at = data.index(b"cICP")
    assert shown(data[: at + 8] + bytes(4) + data[at + 12 :]) == list(COLOUR)
    chunk = data[at - 4 : at + 12]
    assert shown(
        data.replace(chunk, b"").replace(b"\0\0\0\0IEND", chunk + b"\0\0\0\0IEND")
    ) == list(COLOUR)


@pytest.mark.parametrize("alpha", [(), (255,), (128,)])
@pytest.mark.parametrize("chunk", [gama(1), (b"cICP", bytes((12, 8, 0, 1)))])
def test_grey_has_a_profile_for_grey(chunk: Chunk, alpha: tuple[int, ...]) -> None:
    first, _, _ = shown(flat(chunk, colour=(1, *alpha)))
    opacity = (alpha or (255,))[0] / 255
    assert first == pytest.approx(13 * opacity + 255 * (1 - opacity), abs=1)


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ((1, 1), (37, 57, 126)),
        ((1, 4), (44, 65, 134)),
        ((1, 5), (24, 43, 112)),
        ((1, 7), (66, 84, 146)),
        ((1, 8), (120, 140, 191)),
        ((1, 17), (32, 52, 124)),
        ((2, 2), COLOUR),
        ((9, 13), (0, 68, 139)),
        ((10, 13), (0, 84, 139)),
    ],
)
def test_codes_are_as_in_a_browser(codes: tuple[int, int], expected: tuple[int, ...]) -> None:
    """The values are those of Chromium."""
    assert shown(flat((b"cICP", bytes((*codes, 0, 1))))) == pytest.approx(expected, abs=1)


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_high_dynamic_range_is_refused_by_name(transfer: int, name: str) -> None:
    data = flat((b"cICP", bytes((9, transfer, 0, 1))))
    with pytest.raises(ImageRefused, match=rf"high dynamic range \({name}\)") as refused:
        decode(data, 10_000, "#ffffff")
    assert refused.value.reason == "unsupported"
    with opened(data, 10_000) as image:
        assert image.info["cicp"] == Cicp(9, transfer)


def large_profile(extra: int) -> bytes:
    """The profile that swaps red and blue, with bytes behind that no tag names."""
    profile = swapped_profile() + bytes(extra)
    return struct.pack(">I", len(profile)) + profile[4:]


def test_a_profile_of_megabytes_is_read() -> None:
    profile = large_profile(3_000_000)
    data = flat(iccp(profile))
    assert shown(data) == pytest.approx(COLOUR[::-1], abs=1)
    with opened(data, 10_000) as image:
        assert image.info["icc_profile"] == profile


def test_a_profile_that_is_no_longer_one_is_refused_by_its_size() -> None:
    profile = struct.pack(">I", MAX_PROFILE_BYTES + 1) + swapped_profile()[4:]
    with pytest.raises(ImageRefused, match=f"profile has {MAX_PROFILE_BYTES + 1} bytes") as refused:
        decode(flat(iccp(profile)), 10_000, "#ffffff")
    assert refused.value.reason == "unsupported"


LONG = bytes(2_000_000)


@pytest.mark.parametrize(
    "chunks",
    [
        [(b"zTXt", b"workflow\0\0" + zlib.compress(LONG))],
        [(b"iTXt", b"workflow\0\1\0\0\0" + zlib.compress(LONG))],
        [(b"tEXt", b"workflow\0" + LONG)] * 40,
        [(b"zTXt", b"workflow\0\7invalid")],
        [(b"zTXt", b"Raw profile type xmp\0\0" + zlib.compress(LONG))],
        [(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(17_000_000)))],
        [(b"tEXt", b"\0")],
    ],
    ids=[
        "zTXt",
        "iTXt",
        "80 MB of tEXt",
        "unknown compression",
        "no raw profile",
        "longer XMP than is read",
        "no keyword",
    ],
)
def test_text_of_any_size_hides_no_picture(chunks: list[Chunk]) -> None:
    data = flat(*chunks)
    assert shown(data) == list(COLOUR)
    assert read_png(data)[1]["png_text"] == tuple(chunks)


def exif_of(make: str) -> bytes:
    exif = Image.Exif()
    exif[271] = make
    return exif.tobytes()


def raw_profile(content: bytes) -> bytes:
    return b"\nexif\n%8d\n" % len(content) + content.hex().encode()


@pytest.mark.parametrize(
    "chunk",
    [
        (b"eXIf", exif_of("camera")[6:]),
        (b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(raw_profile(exif_of("camera")))),
        (b"tEXt", b"Raw profile type APP1\0" + raw_profile(exif_of("camera"))),
    ],
    ids=["eXIf", "exif", "APP1"],
)
def test_exif_is_found_wherever_programs_write_it(chunk: Chunk) -> None:
    with opened(flat(chunk), 10_000) as image:
        assert image.getexif()[271] == "camera"


XMP = b"<x:xmpmeta>title</x:xmpmeta>"


@pytest.mark.parametrize(
    "chunk",
    [
        (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP),
        (b"iTXt", b"XML:com.adobe.xmp\0\1\0en\0title\0" + zlib.compress(XMP)),
        (b"zTXt", b"Raw profile type xmp\0\0" + zlib.compress(raw_profile(XMP))),
    ],
    ids=["plain", "compressed", "raw"],
)
def test_xmp_is_found_wherever_programs_write_it(chunk: Chunk) -> None:
    with opened(flat(chunk), 10_000) as image:
        assert image.info["xmp"] == XMP
        assert "png_text" not in image.info


def test_a_picture_without_such_chunks_is_read_as_it_is() -> None:
    data = flat()
    assert read_png(data) == (data, {"icc_profile": None})
    assert read_png(data[:40])[0] == data[:40]


def test_a_made_profile_is_one_that_littlecms_reads() -> None:
    profile = read_png(flat(CICP_P3))[1]["icc_profile"]
    opened_profile = ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile
    assert (opened_profile.xcolor_space.strip(), opened_profile.version) == ("RGB", 4.3)
    red = opened_profile.red_primary[1][:2]
    assert red == pytest.approx((0.680, 0.320), abs=0.02)


def test_no_number_of_chunks_takes_more_than_the_file() -> None:
    data = flat()
    empty = struct.pack(">I", 0) + b"tEXt" + struct.pack(">I", zlib.crc32(b"tEXt"))
    many = data[:33] + empty * 100_000 + data[33:]
    tracemalloc.start()
    try:
        pixels_only, info = read_png(many)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert pixels_only == data
    assert len(info["png_text"]) == MAX_TEXTS
    assert peak < 2 * len(many)


def test_few_texts_are_inflated() -> None:
    """One of 16 kB takes some 30 ms: thousands would take minutes."""
    text = (b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(bytes(100)))
    late = (b"zTXt", b"Raw profile type xmp\0\0" + zlib.compress(raw_profile(XMP)))
    assert "xmp" in read_png(flat(*[text] * (MAX_INFLATED_TEXTS - 1), late))[1]
    assert "xmp" not in read_png(flat(*[text] * MAX_INFLATED_TEXTS, late))[1]


def test_pixels_are_counted_without_reading_them() -> None:
    frames = [Image.new("RGB", (30, 20), colour) for colour in ("red", "blue", "lime")]
    texts = PngInfo()
    texts.add_text("prompt", "x" * 100_000)
    still, animation = io.BytesIO(), io.BytesIO()
    frames[0].save(still, "PNG", pnginfo=texts)
    frames[0].save(animation, "PNG", pnginfo=texts, save_all=True, append_images=frames[1:])

    class Counted(io.BytesIO):
        bytes_read = 0

        def read(self, size: int | None = -1, /) -> bytes:
            data = super().read(size)
            self.bytes_read += len(data)
            return data

    for content, pixels in ((still, 600), (animation, 1800)):
        file = Counted(content.getvalue())
        assert pixels_in_png(file) == pixels
        assert file.bytes_read < 200
    assert pixels_in_png(io.BytesIO(b"GIF89a")) == 0
