"""Which files of a folder are pictures."""

import os
import socket
import stat
from pathlib import Path

import pytest
from PIL import Image

from pipeline.images.folders import FolderContents, find_pictures


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "set").mkdir()
    Image.new("RGB", (4, 3)).save(tmp_path / "picture.png")
    return tmp_path


def add(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((folder / "picture.png").read_bytes())


def found(folder: str = "set", results: str = "out") -> FolderContents:
    return find_pictures(Path(folder), Path(results))


def names(contents: FolderContents) -> list[str]:
    return [str(path.relative_to(contents.folder)) for path in contents.pictures]


def test_pictures_are_found_by_content_and_by_suffix(folder: Path) -> None:
    add(folder, "a.png", "b", "c.txt", "d.jfif", "e.heic")
    (folder / "set/text.JPG").write_text("no picture")
    (folder / "set/empty.png").touch()
    (folder / "set/note.txt").write_text("text")
    contents = found()
    assert names(contents) == ["a.png", "b", "c.txt", "d.jfif", "e.heic", "empty.png", "text.JPG"]
    assert contents.count_lines() == ["set: files left out: 1 without a picture"]


def test_what_cannot_be_read_is_named_with_its_format(folder: Path) -> None:
    add(folder, "a.png")
    (folder / "set/b.jxl").write_bytes(b"\xff\x0a")
    (folder / "set/c.psd").write_bytes(b"8BPS")
    (folder / "set/d.psd").write_bytes(b"8BPS")
    assert found().left_out_lines() == [
        "set: left out, as JPEG XL is not read: b.jxl",
        "set: left out, as Photoshop is not read: c.psd, d.psd",
    ]


def test_hidden_files_are_counted(folder: Path) -> None:
    add(folder, "a.png", "._a.png", ".e/f.png")
    contents = found()
    assert names(contents) == ["a.png"]
    assert contents.count_lines() == ["set: files left out: 2 hidden"]


def test_a_folder_without_pictures_says_so(folder: Path) -> None:
    assert (found().count_lines(), found().empty_lines()) == (
        [],
        ["set: holds no picture that can be read"],
    )


def test_a_folder_with_an_odd_name_is_named_in_one_line(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\x1b[31m\n\x82"))
    folder.mkdir()
    (folder / "a.jxl").write_bytes(b"\xff\x0a")
    (folder / "a.txt").touch()
    contents = find_pictures(folder, tmp_path / "results")
    name = f"{tmp_path}/\\x1b[31m\\n\\x82"
    assert [*contents.left_out_lines(), *contents.count_lines(), *contents.empty_lines()] == [
        f"{name}: left out, as JPEG XL is not read: a.jxl",
        f"{name}: files left out: 1 without a picture",
        f"{name}: holds no picture that can be read",
    ]


def test_results_below_a_folder_are_left_out_and_named(folder: Path) -> None:
    """But for the folder itself, where it is the one that is asked for."""
    add(folder, "a.png", "data/raw/b.png", "data/mine/c.png", "reports/d.png", "more/reports/e.png")
    others = [Path("set/reports"), folder / "set/data/raw", Path("absent"), Path("set")]
    contents = find_pictures(Path("set"), Path("out"), others)
    assert names(contents) == ["a.png", "data/mine/c.png", "more/reports/e.png"]
    assert contents.left_out_lines() == [
        "set: left out, as the project's results: reports, data/raw"
    ]


def test_linked_folders_are_followed_once(folder: Path) -> None:
    add(folder, "a.png", "sub/b.png", "x.png/c.png", "../real/d.png", "../real/deep/e.png")
    (folder / "set/linked").symlink_to("../real")
    (folder / "set/0again").symlink_to("sub")
    (folder / "set/loop").symlink_to(".")
    (folder / "set/up").symlink_to("..")
    (folder / "real/back").symlink_to("../set")
    contents = found()
    expected = ["a.png", "linked/d.png", "linked/deep/e.png", "sub/b.png", "x.png/c.png"]
    assert names(contents) == expected
    assert contents.left_out_lines() == [
        "set: left out, as their pictures are taken already: 0again, loop, up, linked/back"
    ]


def test_links_to_files_are_pictures_and_those_to_nothing_are_named(folder: Path) -> None:
    add(folder, "a.png")
    (folder / "set/b.png").symlink_to("a.png")
    (folder / "set/broken.png").symlink_to("absent")
    (folder / "set/loop.png").symlink_to("loop.png")
    (folder / "set/broken").symlink_to("absent")
    contents = found()
    assert names(contents) == ["a.png", "b.png", "broken.png", "loop.png"]
    assert contents.others == 1


def test_pipes_and_sockets_are_not_opened(folder: Path) -> None:
    add(folder, "a.png")
    os.mkfifo(folder / "set/fifo.png")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("set/socket")
        contents = found()
    assert names(contents) == ["a.png"]
    assert contents.left_out_lines() == [
        "set: left out, as neither files nor folders: fifo.png, socket"
    ]


def test_results_within_the_folder_are_not_its_pictures(folder: Path) -> None:
    add(folder, "a.png", "large/a.png")
    (folder / "set/link").symlink_to("large")
    contents = found(results="set/large")
    assert (names(contents), contents.left_out) == (["a.png"], {})


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_what_may_not_be_read_is_named(folder: Path) -> None:
    add(folder, "a.png", "closed/b.png", "secret")
    (folder / "set/secret").chmod(0)
    (folder / "set/closed").chmod(0)
    contents = found()
    (folder / "set/closed").chmod(stat.S_IRWXU)
    assert names(contents) == ["a.png", "secret"]
    assert contents.unreadable == ["set/closed: cannot be read: Permission denied"]
