"""What is said of a file that a result does not show whole."""

import base64
import io
import struct
import zlib

import numpy as np
import png
import pytest
from PIL import Image, TiffImagePlugin

from pipeline.images.tiff_samples import MIN_IS_BLACK, RGB
from pipeline.upscaling.pictures import decode_picture
from tests.images.files import png_file, tiff_file

CMYK = 5
# Of 16 × 16 pixels and 10 bits, by libavif: Pillow writes 8.
AVIF_OF_10_BITS = base64.b64decode(
    "AAAAIGZ0eXBhdmlmAAAAAGF2aWZtaWYxbWlhZk1BMUEAAADrbWV0YQAAAAAAAAAhaGRscgAAAAAAAAAAcGljdAAA"
    "AAAAAAAAAAAAAAAAAAAOcGl0bQAAAAAAAQAAAB5pbG9jAAAAAEQAAAEAAQAAAAEAAAETAAAANAAAAChpaW5mAAAA"
    "AAABAAAAGmluZmUCAAAAAAEAAGF2MDFDb2xvcgAAAABqaXBycAAAAEtpcGNvAAAAFGlzcGUAAAAAAAAAEAAAABAA"
    "AAAQcGl4aQAAAAADCgoKAAAADGF2MUOBIEAAAAAAE2NvbHJuY2x4AAIAAgAGgAAAABdpcG1hAAAAAAAAAAEAAQQB"
    "AoMEAAAAPG1kYXQSAAoIOAz/28CAgaQyJheCYwTAAPIIAAB1fbvi693aK1yxXVv1y18FpH+hPM60tk/A9ei2"
)


def noise(channels: int, dtype: type = np.uint8) -> np.ndarray:
    shape = (12, 14, channels)
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype=dtype)


def saved(pixels: np.ndarray, format: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format, **options)
    return file.getvalue()


def jpeg2000_of(bits: int) -> bytes:
    """A codestream of colours whose header says so many bits."""
    data = bytearray(saved(noise(3), "JPEG2000", no_jp2=True))
    assert data[2:4] == b"\xff\x51"
    data[42:51:3] = bytes([bits - 1] * 3)
    return bytes(data)


def animation_of_16_bits() -> bytes:
    signature, (header, *_, end) = b"\x89PNG\r\n\x1a\n", png.Reader(
        bytes=png_file(noise(3, np.uint16))
    ).chunks()  # fmt: skip
    frame = zlib.compress(b"".join(b"\0" + row.tobytes() for row in noise(3, np.uint16)))
    chunks = [header, (b"acTL", struct.pack(">II", 2, 0))]
    for number, kind, start in ((0, b"IDAT", b""), (1, b"fdAT", struct.pack(">I", 2))):
        control = struct.pack(">IIIIIHHBB", number, 14, 12, 0, 0, 1, 10, 0, 0)
        chunks += [(b"fcTL", control), (kind, start + frame)]
    file = io.BytesIO()
    png.write_chunks(file, [*chunks, end])
    assert file.getvalue().startswith(signature)
    return file.getvalue()


FURTHER = "has {} further channel{}, which the result lacks"
DEPTH = "has {} bits per sample, of which 8 are read"


@pytest.mark.parametrize(
    ("data", "notice"),
    [
        (tiff_file(noise(2), MIN_IS_BLACK, extra=0), FURTHER.format(1, "")),
        (tiff_file(noise(4), RGB, extra=0), FURTHER.format(1, "")),
        (tiff_file(noise(4, np.uint16), RGB, extra=0), FURTHER.format(1, "")),
        (tiff_file(noise(5), CMYK, extra=0), FURTHER.format(1, "")),
        (tiff_file(noise(4, np.uint16), CMYK), DEPTH.format(16)),
        (
            tiff_file(noise(3, np.uint16), RGB, planes=True, deflate=True),
            DEPTH.format(16),
        ),
        (animation_of_16_bits(), DEPTH.format(16)),
        (AVIF_OF_10_BITS, DEPTH.format(10)),
        (jpeg2000_of(12), DEPTH.format(12)),
        (jpeg2000_of(16), DEPTH.format(16)),
    ],
)
def test_channels_and_bits_that_are_not_read_are_named(data: bytes, notice: str) -> None:
    assert decode_picture(data).notices == (notice,)


@pytest.mark.parametrize(
    "data",
    [
        tiff_file(noise(4), RGB, extra=2),
        tiff_file(noise(4), CMYK),
        tiff_file(noise(3, np.uint16), RGB),
        tiff_file(noise(2, np.uint16), MIN_IS_BLACK, extra=2),
        tiff_file(noise(1, np.uint16), MIN_IS_BLACK, bits=12),
        saved(noise(3), "TIFF", compression="jpeg"),
        png_file(noise(4, np.uint16)),
        saved(noise(4), "AVIF"),
        saved(noise(3), "JPEG2000"),
        saved(noise(1, np.uint16)[..., 0], "JPEG2000"),
    ],
)
def test_nothing_is_said_of_what_is_read_whole(data: bytes) -> None:
    assert decode_picture(data).notices == ()


def test_layers_are_named() -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[37724] = b"Adobe Photoshop Document Data Block\0"
    tags.tagtype[37724] = 7
    assert decode_picture(saved(noise(3), "TIFF", tiffinfo=tags)).notices == (
        "has layers; the picture merged of them is enlarged",
    )


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_a_jpeg_whose_data_end_early_is_said_to_be_damaged(options: dict[str, object]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)
    data = saved(pixels, "JPEG", **options)
    (notice,) = decode_picture(data[: len(data) * 8 // 10] + b"\xff\xd9").notices
    assert notice.startswith("is damaged (Corrupt JPEG data")


@pytest.mark.parametrize("format", ["JPEG", "WEBP", "AVIF", "JPEG2000"])
def test_sectors_that_were_never_written_are_damage(format: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (120, 120, 3), np.uint8)
    data = saved(pixels, format)
    start = len(data) // 1024 * 512
    damaged = data[:start] + bytes(512) + data[start + 512 :]
    assert decode_picture(damaged).notices == (
        f"is damaged (512 bytes from byte {start} on are zero); parts of the result may be wrong",
    )
