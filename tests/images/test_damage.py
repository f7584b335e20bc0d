"""What decoders fill with grey or noise without a word, and what only looks like that."""

import io
import random
import re
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import png
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, UnidentifiedImageError

from pipeline.images.damage import check_decodes, damage_of
from pipeline.images.damage.jpeg import is_whole_jpeg
from pipeline.images.damage.png import png_damage
from pipeline.images.decode import ImageRefused, decode
from pipeline.upscaling.pictures import decode_picture
from tests.images.originals import drawing, saved
from tests.mutations import mutations

SECTOR = 512
Change = Callable[[bytes], bytes]


def picture(mode: str = "RGB") -> Image.Image:
    """A drawing with some noise, so that its file has a few sectors."""
    noise = np.random.default_rng(0).integers(0, 30, (150, 160, 3), np.uint8)
    pixels = np.asarray(drawing(1, 160, 150)) // 2 + noise
    return Image.fromarray(pixels).convert(mode)


KINDS = {
    "baseline": saved(picture(), "JPEG", quality=90),
    "4:4:4": saved(picture(), "JPEG", quality=90, subsampling=0, optimize=True),
    "progressive": saved(picture(), "JPEG", quality=90, progressive=True),
    "restarts": saved(picture(), "JPEG", quality=90, restart_marker_rows=1),
    "grey": saved(picture("L"), "JPEG", quality=95),
    "cmyk": saved(picture("CMYK"), "JPEG", quality=80),
}


def scan(data: bytes) -> int:
    """Where the first scan's data begin."""
    return data.index(b"\xff\xda") + 14


def without_sectors(data: bytes) -> bytes:
    first = -(-(scan(data) + (len(data) - scan(data)) // 2) // SECTOR) * SECTOR
    return data[:first] + bytes(SECTOR) + data[first + SECTOR :]


def decodes(data: bytes) -> bool:
    """Whether Pillow takes the file for whole."""
    try:
        Image.open(io.BytesIO(data)).load()
    except OSError:
        return False
    return True


DAMAGE: dict[str, Change] = {
    "cut in half": lambda data: data[: scan(data) + (len(data) - scan(data)) // 2] + b"\xff\xd9",
    "cut to a third": lambda data: data[: scan(data) + (len(data) - scan(data)) // 3] + b"\xff\xd9",
    "a sector": without_sectors,
}


def before_end(padding: bytes) -> Change:
    return lambda data: data[:-2] + padding + data[-2:]


def after_start(segment: bytes) -> Change:
    return lambda data: data[:2] + segment + data[2:]


HARMLESS: dict[str, Change] = {
    "nothing": lambda data: data,
    "something after the picture": lambda data: data + b"\xff\xd8\xff and more" * 90,
    "zeros after the picture": lambda data: data + bytes(3 * SECTOR),
    "padding": before_end(b"\x12\x34\x56"),
    "padding of zeros": before_end(bytes(100)),
    "fill bytes": before_end(b"\xff" * 40),
    "an unknown Adobe marker": after_start(b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\x07"),
    "a future JFIF": after_start(b"\xff\xe0\0\x10JFIF\0\x09\x09\0\0\1\0\1\0\0"),
    "bytes between segments": lambda data: data.replace(b"\xff\xdb", b"\1\2\3\xff\xdb", 1),
    "a hole in metadata": after_start(b"\xff\xef\x09\x02" + bytes(0x900)),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_jpeg_is_found(kind: str, damage: str) -> None:
    data = DAMAGE[damage](KINDS[kind])
    assert decodes(data), "Pillow knows it already"
    assert damage_of(data, "JPEG")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("change", HARMLESS)
def test_a_whole_jpeg_stays_whole(kind: str, change: str) -> None:
    assert damage_of(HARMLESS[change](KINDS[kind]), "JPEG") is None


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"cmyk"}))
@pytest.mark.parametrize("change", ["nothing", "zeros after the picture", "a hole in metadata"])
def test_a_whole_jpeg_is_known_without_its_pixels(kind: str, change: str) -> None:
    assert is_whole_jpeg(HARMLESS[change](KINDS[kind]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("change", HARMLESS)
def test_what_libjpeg_warns_of_may_be_harmless(kind: str, change: str) -> None:
    data = HARMLESS[change](KINDS[kind])
    with Image.open(io.BytesIO(data)) as image:
        check_decodes(image, data)


@pytest.mark.parametrize("kind", KINDS)
def test_pillow_reads_no_jpeg_that_ends_in_its_scan(kind: str) -> None:
    data = KINDS[kind][:-2]
    assert not decodes(data)
    with Image.open(io.BytesIO(data)) as image, pytest.raises(OSError, match="truncated"):
        check_decodes(image, data)


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_whatever_passes_as_whole_is_decoded_by_pillow(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(KINDS)))
    changed = data.draw(mutations(KINDS[kind]))
    if is_whole_jpeg(changed):
        try:
            image = Image.open(io.BytesIO(changed))
        except UnidentifiedImageError:
            return
        image.load()


@pytest.mark.parametrize("marker", [b"\xff\xd8", b"\xff\x01", b"\xff\xc1\0\2"])
def test_a_marker_in_compressed_data_ends_it(marker: bytes) -> None:
    data = KINDS["baseline"]
    at = scan(data) + 100
    assert damage_of(data[:at] + marker + data[at + 2 :], "JPEG")


def test_scans_that_are_missing_at_the_end_are_noticed() -> None:
    """Cut between two scans nothing is half: the picture is only coarser."""
    data = KINDS["progressive"]
    scans = [found.start() for found in re.finditer(b"\xff\xda", data)]
    assert len(scans) == 10
    for start in scans[1:]:
        assert damage_of(data[:start] + b"\xff\xd9", "JPEG")


def test_flat_pictures_may_have_long_runs_of_zeros() -> None:
    flat = saved(Image.new("RGB", (3000, 2000), "white"), "JPEG", optimize=True)
    assert bytes(2 * SECTOR) in flat
    assert damage_of(flat, "JPEG") is None


def test_kinds_that_only_others_read_are_not_judged() -> None:
    data = KINDS["baseline"]
    frame = data.index(b"\xff\xc0")
    arithmetic = data[:frame] + b"\xff\xc9" + data[frame + 2 :]
    assert damage_of(arithmetic, "JPEG") is None
    deep = data[: frame + 4] + b"\x0c" + data[frame + 5 :]
    assert damage_of(deep, "JPEG") is None


@pytest.mark.parametrize("lossless", [False, True])
def test_a_webp_with_sectors_that_were_never_written(lossless: bool) -> None:
    data = saved(picture(), "WEBP", lossless=lossless, quality=90)
    assert damage_of(data, "WEBP") is None
    assert damage_of(data + bytes(2 * SECTOR), "WEBP") is None
    assert damage_of(data[:SECTOR] + bytes(SECTOR) + data[2 * SECTOR :], "WEBP")


def test_a_webp_whose_transfer_ended_in_zeros() -> None:
    data = saved(picture(), "WEBP", quality=90)
    half = data[: len(data) // 2] + bytes(len(data) - len(data) // 2)
    assert decodes(half), "Pillow knows it already"
    assert damage_of(half, "WEBP")


OTHERS: dict[str, tuple[str, dict[str, Any]]] = {
    "webp, fastest": ("WEBP", {"lossless": True, "method": 0, "quality": 0}),
    "webp, smallest": ("WEBP", {"lossless": True, "method": 6, "quality": 99}),
    "avif": ("AVIF", {"speed": 10}),
    "avif, tiles": ("AVIF", {"speed": 10, "tile_rows": 1, "tile_cols": 1, "quality": 95}),
    "avif, metadata": ("AVIF", {"speed": 10, "exif": b"Exif\0\0II*\0\x08\0\0\0" + bytes(5000)}),
    "jpeg 2000": ("JPEG2000", {}),
    "jpeg 2000, codestream": ("JPEG2000", {"no_jp2": True, "irreversible": True}),
    "jpeg 2000, tiles": ("JPEG2000", {"tile_size": (128, 128)}),
    "jpeg 2000, precincts": (
        "JPEG2000",
        {"precinct_size": (64, 64), "codeblock_size": (32, 32), "quality_layers": [20, 10, 5]},
    ),
    "tiff, lzw": ("TIFF", {"compression": "tiff_lzw"}),
    "tiff, deflate": ("TIFF", {"compression": "tiff_adobe_deflate"}),
    "tiff, packbits": ("TIFF", {"compression": "packbits"}),
    "tiff, jpeg": ("TIFF", {"compression": "jpeg"}),
    "tiff, raw": ("TIFF", {}),
    "bmp": ("BMP", {}),
}


def half_flat() -> Image.Image:
    """A drawing above an area that the fastest lossless WebP writes as thousands of zeros."""
    flat = Image.new("RGB", (800, 800))
    flat.paste(picture(), (0, 0))
    return flat


WHOLE = {
    "drawn": picture(),
    "black": Image.new("RGB", (1200, 900)),
    "flat": Image.new("RGB", (900, 700), "white"),
    "half flat": half_flat(),
    "small": drawing(1, 20, 20),
    "palette": drawing(2, 300, 300).quantize(8).convert("RGB"),
}


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("name", WHOLE)
def test_whole_pictures_of_other_formats_stay_whole(kind: str, name: str) -> None:
    format, options = OTHERS[kind]
    assert damage_of(saved(WHOLE[name], format, **options), format) is None


def test_lossless_webp_may_end_in_many_zeros() -> None:
    data = saved(half_flat(), "WEBP", lossless=True, method=0, quality=0)
    assert data.endswith(bytes(64 * SECTOR))


def test_what_follows_an_avif_names_no_item_of_it() -> None:
    """A box like an entry of the item list, but elsewhere, for the item of the metadata."""
    format, options = OTHERS["avif, metadata"]
    data = saved(picture(), format, **options)
    (metadata,) = re.findall(rb"infe\x02\0\0.(..)\0\0Exif", data)
    for name in (b"free", b"infe"):
        box = name + b"\2\0\0\0" + metadata + b"\0\0av01"
        longer = data + (4 + len(box)).to_bytes(4) + box
        assert damage_of(longer, format) is None


def end_in_zeros(data: bytes, format: str) -> bytes:
    """Let zeros stand in place of the second half, of a TIFF in that of its first strip."""
    half = len(data) // 2
    if format == "JPEG2000":
        return data[:half] + bytes(len(data) - half - 2) + data[-2:]
    if format == "TIFF":
        with Image.open(io.BytesIO(data)) as image:
            start, length = image.tag_v2[273][0], image.tag_v2[279][0]
        lost = length // 2
        return data[: start + length - lost] + bytes(lost) + data[start + length :]
    return data[:half] + bytes(len(data) - half)


@pytest.mark.parametrize(
    "kind",
    [
        "webp, fastest",
        "webp, smallest",
        "avif",
        "jpeg 2000",
        "jpeg 2000, codestream",
        "jpeg 2000, precincts",
        "tiff, jpeg",
    ],
)
def test_zeros_in_place_of_the_second_half_are_found(kind: str) -> None:
    format, options = OTHERS[kind]
    half = end_in_zeros(saved(picture(), format, **options), format)
    assert decodes(half), "Pillow knows it already"
    assert damage_of(half, format)


@pytest.mark.parametrize("kind", [kind for kind in OTHERS if kind.startswith("jpeg 2000")])
def test_a_jpeg_2000_without_its_end_is_found(kind: str) -> None:
    """OpenJPEG refuses such files already, but not by any promise."""
    data = saved(picture(), "JPEG2000", **OTHERS[kind][1])
    half = data[: len(data) // 2]
    assert damage_of(half + bytes(len(data) - len(half)), "JPEG2000")
    assert damage_of(half, "JPEG2000")


PNG_KINDS = {
    "1": (1, 0, 1),
    "L": (8, 0, 1),
    "I;16": (16, 0, 1),
    "LA": (16, 4, 2),
    "P": (2, 3, 1),
    "RGBA": (16, 6, 4),
}
"""Bit depth, colour type and channels"""
ONE_PASS = [(0, 0, 1, 1)]
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)]
ADAM7 += [(0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def png_without_rows(mode: str, size: tuple[int, int], interlace: bool, missing: int) -> bytes:
    """A PNG whose data lack so many rows, of the last pass first, but are valid."""
    depth, kind, channels = PNG_KINDS[mode]
    rng, rows = np.random.default_rng(0), list[bytes]()
    for left, top, across, down in ADAM7 if interlace else ONE_PASS:
        columns, lines = range(left, size[0], across), range(top, size[1], down)
        count = (len(columns) * depth * channels + 7) // 8
        rows += [b"\0" + rng.bytes(count) for _ in lines if columns]
    data = zlib.compress(b"".join(rows[: len(rows) - missing]))
    header = struct.pack(">IIBBBBB", *size, depth, kind, 0, 0, interlace)
    palette = [(b"PLTE", bytes(range(12)))] if mode == "P" else []
    file = io.BytesIO()
    png.write_chunks(file, [(b"IHDR", header), *palette, (b"IDAT", data), (b"IEND", b"")])
    return file.getvalue()


@pytest.mark.parametrize("mode", PNG_KINDS)
@pytest.mark.parametrize(
    ("size", "interlace"), [((40, 30), False), ((3, 2), False), ((40, 31), True), ((9, 5), True)]
)
def test_rows_that_a_png_does_not_hold_are_missed(
    mode: str, size: tuple[int, int], interlace: bool
) -> None:
    assert decode_picture(png_without_rows(mode, size, interlace, 0)).notices == ()
    missing = png_without_rows(mode, size, interlace, 1)
    (notice,) = decode_picture(missing).notices
    assert re.match(r"is damaged \(its data end after \d+ of \d+ bytes of pixels\)", notice)
    with pytest.raises(ImageRefused, match="bytes of pixels"):
        decode(missing, 10_000, "#ffffff")


def test_rows_are_missed_without_the_end_of_the_file_too() -> None:
    missing = png_without_rows("L", (40, 30), False, 1)
    (notice,) = decode_picture(missing[:-12]).notices
    assert notice.startswith("is damaged (its data end after")


@pytest.mark.parametrize("missing", [0, 1])
def test_the_header_of_a_png_may_follow_other_chunks(missing: int) -> None:
    data = png_without_rows("P", (40, 30), False, missing)
    first = io.BytesIO()
    png.write_chunks(first, [(b"prVW", b"preview" * 9)])
    moved = first.getvalue() + data[8:]
    assert len(decode_picture(moved).notices) == missing


def test_a_second_header_of_a_png_is_no_error() -> None:
    black, first = saved(Image.new("RGB", (20, 20)), "PNG"), io.BytesIO()
    unknown = struct.pack(">IIBBBBB", 20, 20, 8, 5, 0, 0, 0)
    png.write_chunks(first, [(b"IHDR", unknown)])
    assert decode_picture(first.getvalue() + black[8:]).notices == ()


def test_errors_behind_the_last_row_of_a_png_are_no_damage() -> None:
    header = struct.pack(">IIBBBBB", 20, 20, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(21 * 20 + 100))[:-4] + b"none"
    file = io.BytesIO()
    png.write_chunks(file, [(b"IHDR", header), (b"IDAT", pixels), (b"IEND", b"")])
    assert decode_picture(file.getvalue()).notices == ()
    decode(file.getvalue(), 10_000, "#ffffff")


def test_the_data_of_a_png_are_not_copied_to_count_them() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1000, 1000, 3), np.uint8)
    noise[0] = 0
    header = struct.pack(">IIBBBBB", 1000, 1000, 8, 2, 0, 0, 0)
    rows = np.concatenate([np.zeros((1000, 1), np.uint8), noise.reshape(1000, -1)], 1)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 1)), (b"IEND", b"")
    file = io.BytesIO()
    png.write_chunks(file, chunks)
    data = file.getvalue()
    with Image.open(file) as image:
        image.load()
        tracemalloc.start()
        assert png_damage(image, data) is None
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < len(data) / 10


def test_a_turned_png_with_an_empty_border_is_whole() -> None:
    exif = Image.Exif()
    exif[274] = 6
    black = saved(Image.new("RGB", (20, 9)), "PNG", exif=exif)
    assert decode_picture(black).notices == ()
    with Image.open(io.BytesIO(black)) as image:
        check_decodes(image, black)


SMALL = [
    saved(picture(), "WEBP"),
    saved(picture(), "WEBP", lossless=True),
    saved(picture(), "AVIF", speed=10),
    saved(picture(), "JPEG2000", quality_layers=[20]),
]
TIFFS = [
    saved(drawing(1, 30, 20), "TIFF", compression=kind)
    for kind in ("raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg")
]


@settings(deadline=5000)
@given(st.sampled_from([*KINDS.values(), *SMALL]).flatmap(mutations))
def test_whatever_comes_is_judged(data: bytes) -> None:
    for format in ("JPEG", "WEBP", "AVIF", "JPEG2000"):
        assert damage_of(data, format) != ""


@pytest.mark.filterwarnings("ignore")
def test_a_tiff_that_lost_a_tag_is_damaged() -> None:
    """Without the tag that says whether 0 is black or white, Pillow decodes it as a negative."""
    data = saved(picture("L"), "TIFF", compression="tiff_lzw")
    photometric = struct.pack("<HHI", 262, 3, 1)
    assert data.count(photometric) == 1
    broken = data.replace(photometric, struct.pack("<HHI", 262, 3, 2))
    assert decodes(broken), "Pillow knows it already"
    assert damage_of(broken, "TIFF") == "its tag 262 cannot be read"


@pytest.mark.filterwarnings("ignore")
@settings(deadline=5000)
@given(st.sampled_from(TIFFS).flatmap(mutations))
def test_whatever_pillow_decodes_as_a_tiff_is_judged(data: bytes) -> None:
    try:
        Image.open(io.BytesIO(data), formats=("TIFF",)).load()
    except Exception:
        return
    assert damage_of(data, "TIFF") != ""


@pytest.mark.parametrize("format", ["AVIF", "JPEG2000", "WEBP"])
def test_files_that_end_anywhere_are_judged(format: str) -> None:
    data = saved(drawing(1, 20, 20), format)
    for end in range(len(data)):
        assert damage_of(data[:end], format) != ""


def test_random_bytes_are_judged() -> None:
    source = random.Random(1)
    for length in range(60):
        assert damage_of(b"\xff\xd8\xff" + source.randbytes(length), "JPEG") is None
