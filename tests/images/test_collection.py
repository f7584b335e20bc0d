"""A folder of pictures, as posts know them."""

import hashlib
from pathlib import Path

import pytest
from PIL import Image

from pipeline.errors import UsageError
from pipeline.images.collection import collect_folder
from pipeline.progress import Silent


class Messages(Silent):
    """A progress that records the calls."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def message(self, text: str) -> None:
        self.texts.append(text)


def save(path: Path, size: tuple[int, int] = (600, 400), mode: str = "RGB", **options) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size).save(path, **options)


def test_folder(tmp_path: Path) -> None:
    save(tmp_path / "b.png", (1600, 20))
    save(tmp_path / "Blue Hair" / "-x" / "a.JPG", (601, 400), format="JPEG")
    save(tmp_path / "misnamed.png", format="WEBP")
    save(tmp_path / "nameless", (500, 500), mode="L", format="JPEG")
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    save(tmp_path / "map.bmp")
    save(tmp_path / ".hidden" / "a.png")
    messages = Messages()

    pictures = collect_folder(tmp_path, messages)

    assert messages.texts == [
        f"{tmp_path}: files that are no JPEG, PNG, GIF or WebP, skipped: 3",
    ]
    found = [
        (picture.id, picture.source, picture.extension, picture.width, picture.height)
        for picture in pictures
    ]
    assert found == [
        (1, "Blue Hair/-x/a.JPG", "jpg", 601, 400),
        (2, "b.png", "png", 1600, 20),
        (3, "misnamed.png", "webp", 600, 400),
        (4, "nameless", "jpg", 500, 500),
    ]
    assert [picture.tags for picture in pictures] == [
        ("blue_hair", "x"),
        ("highres",),
        (),
        ("greyscale", "lowres"),
    ]
    for picture in pictures:
        assert picture.md5 == hashlib.md5(picture.path.read_bytes()).hexdigest()
        assert (picture.rating, picture.parent_id) == ("general", 0)
        assert picture.change == int(picture.path.stat().st_mtime)


@pytest.mark.parametrize(
    ("size", "tags"),
    [
        ((501, 500), ()),
        ((500, 500), ("lowres",)),
        ((1599, 1199), ()),
        ((600, 1200), ("highres",)),
        ((3200, 600), ("absurdres", "highres")),
    ],
)
def test_size_tags(tmp_path: Path, size: tuple[int, int], tags: tuple[str, ...]) -> None:
    save(tmp_path / "a.png", size)
    assert collect_folder(tmp_path)[0].tags == tags


def test_moving_pictures_are_animated(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (600, 600), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "b.jpg", format="MPO", save_all=True, append_images=frames[1:])
    assert [picture.tags for picture in collect_folder(tmp_path)] == [("animated",), ()]


@pytest.mark.parametrize("kind", ["missing", "file", "empty", "no pictures"])
def test_a_folder_that_holds_nothing_is_told(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "folder"
    if kind == "file":
        folder.write_text("")
    elif kind != "missing":
        folder.mkdir()
    if kind == "no pictures":
        (folder / "a.png").write_text("text")
    with pytest.raises(UsageError) as error:
        collect_folder(folder)
    assert str(error.value).startswith(f"{folder}: ")
    assert "\n" not in str(error.value)
