"""Where pictures end in their files, and what is said of those that were cut off."""

import io

import numpy as np
import pytest
from PIL import Image

from pipeline.images.decode import ImageRefused, decode
from pipeline.images.endings import end_of_picture
from pipeline.images.gif_blocks import GRAPHIC_CONTROL, TRAILER
from pipeline.images.tiff_samples import MIN_IS_BLACK
from pipeline.upscaling.pictures import decode_picture
from tests.images.files import tiff_file


def picture(format: str, mode: str = "RGB", frames: int = 1, **options: object) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (frames, 20, 24, 3), np.uint8)
    first, *others = (Image.fromarray(pixels).convert(mode) for pixels in noise)
    file = io.BytesIO()
    first.save(file, format, save_all=frames > 1, append_images=others, **options)
    return file.getvalue()


FILES = {
    "JPEG": picture("JPEG"),
    "JPEG progressive": picture("JPEG", progressive=True),
    "PNG": picture("PNG"),
    "PNG animated": picture("PNG", frames=2),
    "GIF": picture("GIF", "P"),
    "GIF animated": picture("GIF", "P", frames=2),
    "WEBP": picture("WEBP"),
    "WEBP lossless": picture("WEBP", lossless=True),
    "WEBP animated": picture("WEBP", frames=2),
    "BMP": picture("BMP"),
    "TIFF": picture("TIFF"),
    "TIFF LZW": picture("TIFF", compression="tiff_lzw"),
    "TIFF JPEG": picture("TIFF", compression="jpeg"),
    "TIFF grey and alpha": tiff_file(np.ones((20, 24, 2), np.uint16), MIN_IS_BLACK, extra=2),
    "AVIF": picture("AVIF"),
    "AVIF animated": picture("AVIF", frames=2),
    "JPEG2000": picture("JPEG2000"),
    "JPEG2000 codestream": picture("JPEG2000", no_jp2=True),
}
# Of these the last bytes are a marker; with nothing else missing the picture is whole.
MARKERS = {"JPEG": 2, "PNG": 12, "GIF": 2}


@pytest.mark.parametrize("name", FILES)
def test_a_whole_file_ends_where_its_bytes_do(name: str) -> None:
    data = FILES[name]
    assert end_of_picture(data, name.split()[0]) == len(data)
    assert decode_picture(data).notices == ()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FILES)
def test_a_file_without_its_last_bytes_is_refused_or_said_to_lack_its_end(name: str) -> None:
    data = FILES[name]
    marker = MARKERS.get(name.split()[0], 0)
    for missing in range(1, marker + 1):
        (notice,) = decode_picture(data[:-missing]).notices
        assert notice.startswith("the marker of its end is missing; ")
    # A PNG may lack the checksums of its last pixels, too.
    for missing in {marker + 12, 40, len(data) // 10, len(data) // 2, len(data) * 9 // 10}:
        with pytest.raises(ImageRefused) as refused:
            decode_picture(data[:-missing])
        assert refused.value.args == ("damaged", "ends too early; get it again")


def test_the_frames_of_a_gif_without_end_are_not_said_to_be_all() -> None:
    whole = FILES["GIF animated"]
    cut = whole[: whole.rindex(b"!\xf9")]
    picture = decode_picture(cut)
    assert len(picture.frames) == 1
    assert picture.notices == (
        "the marker of its end is missing; if further frames followed, so are they",
    )


@pytest.mark.parametrize("width", [23, 24])
def test_the_last_row_of_a_bitmap_may_lack_what_fills_it_up(width: int) -> None:
    file = io.BytesIO()
    Image.effect_noise((width, 20), 30).convert("RGB").save(file, "BMP")
    data, filling = file.getvalue(), -3 * width % 4
    assert decode_picture(data[: len(data) - filling]).notices == ()
    with pytest.raises(ImageRefused, match="ends too early"):
        decode_picture(data[: len(data) - filling - 1])


@pytest.mark.parametrize("name", ["GIF", "GIF animated"])
@pytest.mark.parametrize("after", [b"", b"\r\n"])
def test_bytes_between_the_blocks_of_a_gif_are_no_missing_end(name: str, after: bytes) -> None:
    first, control, rest = FILES[name].rpartition(GRAPHIC_CONTROL if "ani" in name else TRAILER)
    data = first + b"\0\1" + control + rest
    assert end_of_picture(data + after, "GIF") == len(data)
    assert decode_picture(data + after).notices == ()


def test_damage_within_a_whole_file_is_not_called_an_early_end() -> None:
    png = FILES["PNG"]
    middle = len(png) // 2
    with pytest.raises(ImageRefused) as refused:
        decode(png[:middle] + bytes(16) + png[middle + 16 :], 10_000, "#ffffff")
    assert refused.value.text.startswith("is damaged (")
