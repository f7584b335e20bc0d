"""What a picture says of itself is in the result, unless it is untrue of that."""

import io
import zlib
from typing import Any

import numpy as np
import png
import pytest
from PIL import ExifTags, Image, ImageCms, IptcImagePlugin

from pipeline.upscaling.encoding import encode_picture
from pipeline.upscaling.metadata import Metadata
from pipeline.upscaling.pictures import Picture, decode_picture
from tests.images.files import with_chunks
from tests.images.originals import saved
from tests.upscaling.small import noise

EXIF, GPS, INTEROP = ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo, ExifTags.IFD.Interop
XMP = (
    b'<x:xmpmeta><rdf:Description tiff:Orientation="6" exif:PixelXDimension="12" dc:title="a">'
    b"<tiff:ImageWidth>12</tiff:ImageWidth><xmp:Thumbnails>JPEG</xmp:Thumbnails>"
    b"<xmp:Rating>5</xmp:Rating></rdf:Description></x:xmpmeta>"
)
KEPT_XMP = (
    b'<x:xmpmeta><rdf:Description tiff:Orientation="1" dc:title="a">'
    b"<xmp:Rating>5</xmp:Rating></rdf:Description></x:xmpmeta>"
)


def camera_exif() -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "somebody"
    exif[ExifTags.Base.DateTime] = "2001:02:03 04:05:06"
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.ImageWidth] = 12
    exif.get_ifd(EXIF).update(
        {
            ExifTags.Base.DateTimeOriginal: "2001:02:03 04:05:06",
            ExifTags.Base.ExifImageWidth: 12,
            ExifTags.Base.ExifImageHeight: 9,
            ExifTags.Base.MakerNote: b"what a maker notes",
            ExifTags.Base.FNumber: 2.8,
            INTEROP: {1: "R98"},
        }
    )
    exif.get_ifd(GPS)[ExifTags.GPS.GPSLatitude] = (52.0, 31.0, 12.0)
    return exif


def exif_in(data: bytes) -> tuple[dict[int, Any], dict[int, Any], dict[int, Any]]:
    with Image.open(io.BytesIO(data)) as image:
        exif = image.getexif()
        return dict(exif), dict(exif.get_ifd(EXIF)), dict(exif.get_ifd(GPS))


def converted(data: bytes, format: str) -> bytes:
    return encode_picture(decode_picture(data), format)


@pytest.mark.parametrize("target", ["png", "jpg", "webp"])
@pytest.mark.parametrize("source", ["PNG", "JPEG", "WEBP", "AVIF", "TIFF"])
def test_exif_is_kept_but_for_what_is_untrue(source: str, target: str) -> None:
    data = saved(Image.new("RGB", (12, 9)), source, exif=camera_exif())
    main, detail, place = exif_in(converted(data, target))
    assert main[ExifTags.Base.Artist] == "somebody"
    assert main[ExifTags.Base.DateTime] == "2001:02:03 04:05:06"
    assert main.get(ExifTags.Base.Orientation, 1) == 1
    assert ExifTags.Base.ImageWidth not in main
    if source == "TIFF":
        return  # Pillow writes its first directory alone
    assert detail[ExifTags.Base.DateTimeOriginal] == "2001:02:03 04:05:06"
    assert detail[ExifTags.Base.MakerNote] == b"what a maker notes"
    assert float(detail[ExifTags.Base.FNumber]) == pytest.approx(2.8)
    assert ExifTags.Base.ExifImageWidth not in detail
    assert ExifTags.Base.ExifImageHeight not in detail
    assert place[ExifTags.GPS.GPSLatitude] == (52, 31, 12)
    with Image.open(io.BytesIO(converted(data, target))) as image:
        assert dict(image.getexif().get_ifd(INTEROP)) == {1: "R98"}
        assert image.size == (9, 12)


def test_a_thumbnail_is_left_out() -> None:
    """A second directory, as cameras write it."""
    exif = camera_exif().tobytes()[6:]
    count = int.from_bytes(exif[8:10])
    link = 10 + 12 * count
    thumbnail = (1).to_bytes(2) + bytes.fromhex("0100 0004 00000001 000000a0") + bytes(4)
    linked = exif[:link] + len(exif).to_bytes(4) + exif[link + 4 :] + thumbnail
    data = saved(Image.new("RGB", (12, 9)), "JPEG", exif=b"Exif\0\0" + linked)
    with Image.open(io.BytesIO(data)) as image:
        assert image.getexif().get_ifd(ExifTags.IFD.IFD1) == {256: 160}
    with Image.open(io.BytesIO(converted(data, "jpg"))) as image:
        assert image.getexif()[ExifTags.Base.Artist] == "somebody"
        assert image.getexif().get_ifd(ExifTags.IFD.IFD1) == {}


@pytest.mark.parametrize("target", ["png", "jpg", "webp"])
@pytest.mark.parametrize("source", ["JPEG", "WEBP", "AVIF"])
def test_xmp_is_kept_but_for_what_is_untrue(source: str, target: str) -> None:
    result = converted(saved(Image.new("RGB", (12, 9)), source, xmp=XMP), target)
    assert decode_picture(result).metadata.xmp == KEPT_XMP
    with Image.open(io.BytesIO(result)) as image:
        image.load()
        assert image.info["xmp"] == KEPT_XMP


TEXT = [
    (b"tEXt", b"parameters\0" + b"1girl, Steps: 20"),
    (b"iTXt", b"workflow\0\0\0\0\0" + b'{"nodes": []}'),
    (b"zTXt", b"prompt\0\0" + zlib.compress(bytes(2_000_000))),
]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("frames", [1, 2])
def test_text_of_a_png_is_kept_as_it_is(dtype: type, frames: int) -> None:
    pixels = tuple(noise(9, 8, 3, dtype) // (number + 1) for number in range(frames))
    picture = Picture(pixels, frame_durations_ms=(40,) * frames)
    data = with_chunks(encode_picture(picture, "png"), *TEXT)
    back = decode_picture(data)
    assert back.metadata.png_text == tuple(TEXT)
    again = encode_picture(back, "png")
    assert [chunk for chunk in png.Reader(bytes=again).chunks() if chunk in TEXT] == TEXT
    assert decode_picture(again).metadata == back.metadata
    for format in ("webp", "gif"):
        assert decode_picture(encode_picture(back, format)).metadata.png_text == ()


@pytest.mark.parametrize(
    "exif",
    [b"", b"nonsense", b"Exif\0\0II*\0\x08\0\0\0\x02\0" + b"\x3b\x01\x02\0\xff\xff\xff\xff" * 3],
)
@pytest.mark.filterwarnings("ignore")
def test_damaged_exif_is_no_damage(exif: bytes) -> None:
    data = saved(Image.new("RGB", (12, 9)), "WEBP", exif=exif)
    assert decode_picture(data).metadata.exif is None


def test_a_tag_that_cannot_be_written_takes_no_other_with_it() -> None:
    """A date as a fraction, which Pillow reads and does not write."""
    exif = camera_exif().tobytes()[6:]
    at = exif.index(bytes.fromhex("0132 0002 00000014"))
    broken = exif[: at + 2] + bytes.fromhex("0009 00000001") + exif[at + 8 :]
    data = saved(Image.new("RGB", (12, 9)), "JPEG", exif=b"Exif\0\0" + broken)
    assert exif_in(converted(data, "jpg"))[0][ExifTags.Base.Artist] == "somebody"


def test_what_is_too_long_for_jpeg_is_left_out() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = "a" * 70_000
    long = b"x" * 70_000
    metadata = Metadata(exif.tobytes(), long, iptc=long, comment=long)
    picture = Picture((noise(9, 8),), metadata=metadata)
    assert decode_picture(encode_picture(picture, "jpg")).metadata == Metadata()
    for format in ("png", "webp"):
        back = decode_picture(encode_picture(picture, format)).metadata
        assert (back.exif, back.xmp) == (metadata.exif, metadata.xmp)


def test_metadata_and_profile_stand_side_by_side() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = Image.new("RGB", (12, 9))
    data = saved(image, "JPEG", icc_profile=profile, exif=camera_exif(), xmp=XMP, dpi=(300, 300))
    back = decode_picture(converted(data, "png"))
    assert back.icc_profile == profile
    assert back.dpi == pytest.approx((300, 300), abs=0.1)
    assert back.metadata == decode_picture(data).metadata


RECORDS = b"\x1c\x02\x50\0\x08somebody" + b"\x1c\x02\x78\0\x05title"


def test_iptc_is_kept_in_jpeg_and_png() -> None:
    metadata = Metadata(iptc=RECORDS)
    data = encode_picture(Picture((noise(9, 8),), metadata=metadata), "jpg")
    picture = decode_picture(data)
    assert picture.metadata == metadata
    with Image.open(io.BytesIO(data)) as image:
        assert IptcImagePlugin.getiptcinfo(image) == {(2, 80): b"somebody", (2, 120): b"title"}
    with Image.open(io.BytesIO(encode_picture(picture, "png"))) as image:
        name, length, *lines = image.info["Raw profile type iptc"].split()
        content = bytes.fromhex("".join(lines))
    assert (name, int(length)) == ("iptc", len(content))
    assert content[12:].rstrip(b"\0") == RECORDS


@pytest.mark.parametrize("source", ["JPEG", "GIF"])
def test_a_comment_is_kept(source: str) -> None:
    data = saved(Image.new("RGB", (12, 9)), source, comment="drawn by hand: 手".encode())
    picture = decode_picture(data)
    for format in ("jpg", "gif"):
        back = decode_picture(encode_picture(picture, format))
        assert back.metadata == picture.metadata == Metadata(comment="drawn by hand: 手".encode())
    with Image.open(io.BytesIO(encode_picture(picture, "png"))) as image:
        assert image.info["Comment"] == "drawn by hand: 手"
