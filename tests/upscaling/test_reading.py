"""Files and pipes, read as pictures."""

import os
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from pipeline.errors import PipelineError
from pipeline.images.decode import ImageRefused, decode
from pipeline.upscaling import reading
from pipeline.upscaling.reading import read_picture
from tests.upscaling.small import noise


def test_little_memory_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(image: PngImagePlugin.PngImageFile) -> None:
        raise MemoryError

    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", failing)
    with pytest.raises(PipelineError) as error:
        read_picture(Path("a.png"))
    assert str(error.value) == "a.png: not enough memory"


def test_a_format_that_is_not_read_has_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"8BPS\0\1")
    with pytest.raises(PipelineError, match=r"a\.png: Photoshop is not read; convert it to PNG"):
        read_picture(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("start", "reason"),
    [
        (b"", "no image of a known format"),
        (b"\x89PNG\r\n\x1a\n", "has more than 2 MB, which no picture needs that is small enough"),
    ],
)
def test_no_more_is_read_than_a_picture_may_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: bytes, reason: str
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(start)
    os.truncate(path, 3_000_000)
    monkeypatch.setattr(reading, "MAX_FILE_BYTES", 2_000_000)
    with pytest.raises(PipelineError, match=rf"a\.png: {reason}"):
        read_picture(path)


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_may_lack_the_marker_of_its_end_and_nothing_else(
    tmp_path: Path, progressive: bool
) -> None:
    path = tmp_path / "a.jpg"
    # Of other pictures the last bits may be such that no decoder misses what follows them.
    Image.fromarray(noise(32, 48)).save(path, progressive=progressive)
    data = path.read_bytes()
    whole = read_picture(path)
    for length in (-1, -2):
        path.write_bytes(data[:length])
        read = read_picture(path)
        assert read.picture.notices == ("the marker of its end is missing; the picture is whole",)
        assert (read.picture.frames[0] == whole.picture.frames[0]).all()
        with pytest.raises(ImageRefused):
            decode(data[:length], 10**6, "#ffffff")
    assert whole.picture.notices == ()
    last_scan = data.rindex(b"\xff\xda")
    for length in {-3, -4, -5, -40, last_scan - len(data), last_scan + 10 - len(data)}:
        path.write_bytes(data[:length])
        with pytest.raises(PipelineError, match=r"a\.jpg: ends too early; get it again"):
            read_picture(path)


def test_what_has_no_end_is_no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_FILE_BYTES", 2_000_000)
    with pytest.raises(PipelineError, match="/dev/zero: no image of a known format"):
        read_picture(Path("/dev/zero"))


def test_a_bitmap_without_signature_is_read(tmp_path: Path) -> None:
    Image.new("RGB", (3, 2)).save(tmp_path / "a.dib")
    assert read_picture(tmp_path / "a.dib").picture.frames[0].shape == (2, 3, 3)
