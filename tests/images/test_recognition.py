"""Files of pictures, recognised by their first bytes."""

import io
import struct

import pytest
from PIL import Image

from pipeline.images.opening import FORMATS
from pipeline.images.recognition import HEAD_BYTES, readable_format, unread_format
from pipeline.images.suffixes import PICTURE_SUFFIXES


def ftyp(*brands: bytes) -> bytes:
    """The first box of an ISO base media file; the first of the brands is the major one."""
    content = b"ftyp" + brands[0] + bytes(4) + b"".join(brands[1:])
    return struct.pack(">I", len(content) + 4) + content


@pytest.mark.parametrize("format", sorted(set(FORMATS) - {"DIB"}))
def test_what_is_read_is_recognised(format: str) -> None:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, format)
    head = file.getvalue()[:HEAD_BYTES]
    assert (readable_format(head), unread_format("", head)) == (format, None)


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_usual_formats_are_recognised_without_loading_all(
    format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, format)
    monkeypatch.setattr(Image, "init", lambda: pytest.fail("all formats are loaded"))
    monkeypatch.delitem(Image.OPEN, "WEBP")
    assert readable_format(file.getvalue()) == format


def test_every_suffix_that_pillow_knows_for_them_is_one_of_pictures() -> None:
    known = {
        suffix
        for suffix, format in Image.registered_extensions().items()
        if format in (*FORMATS, "MPO")
    }
    assert known == PICTURE_SUFFIXES


@pytest.mark.parametrize(
    ("suffix", "head", "format"),
    [
        ("", ftyp(b"heic", b"mif1", b"heic"), "HEIC"),
        ("", ftyp(b"mif1", b"mif1", b"heic"), "HEIC"),
        ("", b"\xff\x0a", "JPEG XL"),
        ("", b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        ("", b"8BPS\0\1", "Photoshop"),
        ("", b"DDS |", "DDS"),
        (".TGA", bytes(18), "TGA"),
        (".cr2", b"II*\0", "camera raw"),
        (".heic", b"\xff\xd8\xff\xe0", None),
        (".txt", b"8", None),
        ("", b"", None),
    ],
)
def test_what_is_not_read_has_a_name(suffix: str, head: bytes, format: str | None) -> None:
    assert unread_format(suffix, head) == format


def test_avif_may_have_the_brand_of_a_container() -> None:
    assert readable_format(ftyp(b"mif1", b"mif1", b"avif")) == "AVIF"
    assert readable_format(ftyp(b"mif1", b"mif1", b"heic")) is None
