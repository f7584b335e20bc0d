"""Drawings as the pictures of the embedded booru, cached in a folder."""

import hashlib
import json
from pathlib import Path

import pytest
from PIL import Image

from pipeline.booru.drawn_collection import collect_drawings
from pipeline.errors import PipelineError


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
    monkeypatch.setattr("pipeline.booru.drawn_collection._program_hash", lambda: "12345678")
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


@pytest.mark.parametrize(
    ("ending", "content"),
    [
        (".png", b"half"),
        (".json", b'["1girl'),
        (".json", b"{}"),
        (".json", b"[1]"),
        (".json", b"\xff"),
    ],
)
def test_a_damaged_drawing_is_reported(tmp_path: Path, ending: str, content: bytes) -> None:
    (drawing,) = collect_drawings(1, tmp_path)
    drawing.path.with_suffix(ending).write_bytes(content)
    with pytest.raises(PipelineError) as error:
        collect_drawings(1, tmp_path)
    assert str(error.value) == (
        f"{drawing.path}: a damaged drawing; remove it and its .json, and run again"
    )
    assert error.value.exit_code == 1


def test_a_drawing_that_was_removed_is_drawn_anew(tmp_path: Path) -> None:
    (before,) = collect_drawings(1, tmp_path)
    before.path.unlink()
    assert collect_drawings(1, tmp_path)[0].md5 == before.md5


def test_a_drawing_is_highres_where_a_picture_is(tmp_path: Path) -> None:
    """By Danbooru's definition: 1600 pixels wide or 1200 high."""
    seeds = (0, 1, 4)
    pictures = [collect_drawings(1, tmp_path, seed)[0] for seed in seeds]
    for picture in pictures:
        large = picture.width >= 1600 or picture.height >= 1200
        assert ("highres" in picture.tags) == large


def test_drawings_that_cannot_be_cached_are_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PipelineError, match="file: cannot keep drawings there"):
        collect_drawings(1, tmp_path / "file")
