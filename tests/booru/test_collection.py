"""The pictures of an embedded booru: read from a folder, or drawn and kept."""

import hashlib
import json
from pathlib import Path

import pytest
from PIL import Image

from pipeline.booru import collection
from pipeline.booru.collection import collect_drawings, collect_folder
from pipeline.errors import PipelineError, UsageError
from pipeline.progress import Silent


class Messages(Silent):
    """A listener that keeps what it was told."""

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


def test_drawings_are_kept_and_the_same_each_time(tmp_path: Path) -> None:
    first = collect_drawings(2, tmp_path / "first", seed=4)
    again = collect_drawings(2, tmp_path / "again", seed=4)
    assert [picture.extension for picture in first] == ["jpg", "png"]
    assert [picture.id for picture in first] == [1, 2]
    assert [picture.source for picture in first] == ["drawing 4", "drawing 5"]
    assert len({picture.md5 for picture in first}) == 2
    for one, other in zip(first, again, strict=True):
        assert one.md5 == other.md5 == hashlib.md5(one.path.read_bytes()).hexdigest()
        assert (one.tags, one.change) == (other.tags, other.change)
        assert list(one.tags) == sorted(set(one.tags))
        assert set(json.loads(one.path.with_suffix(".json").read_text())) <= set(one.tags)
        with Image.open(one.path) as image:
            assert image.size == (one.width, one.height)
            assert image.mode == "RGB"
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "first").glob("[0-9]*")}
    assert len(written) == 4

    more = collect_drawings(3, tmp_path / "first", seed=3)

    assert more[1].md5 == first[0].md5
    for path, time in written.items():
        assert path.stat().st_mtime_ns == time


def test_a_changed_drawing_program_draws_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (before,) = collect_drawings(1, tmp_path)
    monkeypatch.setattr(collection, "_program_hash", lambda: "12345678")
    (after,) = collect_drawings(1, tmp_path)
    assert after.path.name == "000000-12345678.png"
    assert not before.path.exists()
    assert sorted(path.suffix for path in tmp_path.glob("[0-9]*")) == [".json", ".png"]


def test_a_drawing_without_its_tags_is_drawn_anew(tmp_path: Path) -> None:
    (before,) = collect_drawings(1, tmp_path)
    before.path.write_bytes(b"half")
    before.path.with_suffix(".json").unlink()
    (tmp_path / ".000000-killed.tmp").write_bytes(b"half")
    assert collect_drawings(1, tmp_path)[0].md5 == before.md5
    assert list(tmp_path.glob("*.tmp")) == []


def test_a_damaged_drawing_is_told(tmp_path: Path) -> None:
    (drawing,) = collect_drawings(1, tmp_path)
    drawing.path.write_bytes(b"half")
    with pytest.raises(UsageError, match=r"a damaged drawing; remove it and its \.json"):
        collect_drawings(1, tmp_path)


def test_drawings_that_cannot_be_kept_are_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PipelineError, match="file: cannot keep drawings there"):
        collect_drawings(1, tmp_path / "file")
