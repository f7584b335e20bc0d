"""The raw set is replaced as a whole, or stays unchanged."""

import errno
import hashlib
import os
import shutil
from pathlib import Path

import pytest

from pipeline.errors import PipelineError
from pipeline.images.records import POSTS_FILE
from pipeline.scraping.posts import Post
from pipeline.scraping.raw_set import (
    SetEntry,
    copy_file,
    link_or_copy,
    try_replacing,
    write_set,
)


def entries(folder: Path, *ids: int) -> list[SetEntry]:
    """Pictures of a store."""
    found = []
    for id in ids:
        path = folder / f"stored-{id}"
        path.write_bytes(b"picture %d" % id)
        post = Post(id, 40, 32, f"http://b.test/{id}.png", "", "safe", (), "", 0)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        found.append(SetEntry(post, "http://b.test", path, path.stat().st_size, sha256, ""))
    return found


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def hidden(folder: Path) -> list[str]:
    """Names beside the set that only a run in progress may have."""
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_a_fault_leaves_the_old_set(tmp_path: Path, number: int) -> None:
    raw = tmp_path / "raw"
    write_set(entries(tmp_path, 1, 2), raw)
    before = contents(raw)

    def failing(source: Path, name: Path) -> None:
        if name.name == "4.png":
            raise OSError(number, os.strerror(number), str(source))
        shutil.copyfile(source, name)

    with pytest.raises(PipelineError) as error:
        write_set(entries(tmp_path, 3, 4, 5), raw, failing)
    assert str(error.value) == (
        f"{tmp_path}/stored-4: {os.strerror(number)}, so the new set is not in {raw}, and what was "
        "there is as it was; mend that, then run the same command again"
    )
    assert contents(raw) == before
    assert hidden(tmp_path) == []


def test_a_kill_between_two_renames_loses_no_set(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    write_set(entries(tmp_path, 1, 2), raw)
    before = contents(raw)
    raw.rename(tmp_path / ".raw.old")
    try_replacing(raw)
    assert contents(raw) == before
    assert hidden(tmp_path) == []


def test_a_failed_rename_is_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw, replace = tmp_path / "raw", Path.replace
    write_set(entries(tmp_path, 1, 2), raw)
    before = contents(raw)

    def failing(path: Path, target: Path) -> Path:
        if path.name == ".raw.new":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(PipelineError, match="Input/output error"):
        write_set(entries(tmp_path, 3), raw)
    assert contents(raw) == before
    assert hidden(tmp_path) == []


def test_folders_are_synced_before_and_after_the_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw, synced, sync = tmp_path / "raw", [], os.fsync

    def spy(handle: int) -> None:
        synced.append((os.fstat(handle).st_ino, raw.exists()))
        sync(handle)

    monkeypatch.setattr(os, "fsync", spy)
    write_set(entries(tmp_path, 1), raw)
    inodes = [path.stat().st_ino for path in (raw / POSTS_FILE, raw, tmp_path)]
    assert synced == [(inodes[0], False), (inodes[1], False), (inodes[2], True)]


def test_copies_are_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw, synced, sync = tmp_path / "raw", set[int](), os.fsync

    def spy(handle: int) -> None:
        synced.add(os.fstat(handle).st_ino)
        sync(handle)

    monkeypatch.setattr(os, "fsync", spy)
    write_set(entries(tmp_path, 1, 2), raw, copy_file)
    assert {path.stat().st_ino for path in raw.iterdir()} <= synced


def test_a_set_behind_a_link_is_replaced_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "raw").symlink_to(tmp_path / "disk/pictures")
    try_replacing(tmp_path / "raw")
    write_set(entries(tmp_path, 1), tmp_path / "raw")
    assert (tmp_path / "raw").is_symlink()
    assert sorted(contents(tmp_path / "disk/pictures")) == ["1.png", POSTS_FILE]


def test_a_folder_that_cannot_be_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = tmp_path / "raw"
    write_set(entries(tmp_path, 1), raw)
    before = contents(raw)

    def failing(path: Path, target: Path) -> Path:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(PipelineError) as error:
        try_replacing(raw)
    assert str(error.value) == (
        f"{raw}: cannot be replaced by a new set: Permission denied; mend that, then run the same "
        "command again (nothing was fetched; what was there is as it was)"
    )
    assert contents(raw) == before


def test_a_file_at_the_path_of_the_set(tmp_path: Path) -> None:
    (tmp_path / "raw").write_text("mine")
    with pytest.raises(PipelineError, match="is no folder; move it away"):
        try_replacing(tmp_path / "raw")
    assert (tmp_path / "raw").read_text() == "mine"
    with pytest.raises(PipelineError, match="cannot be replaced by a new set: File exists"):
        try_replacing(tmp_path / "raw/below")


def test_a_disk_without_links_gets_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: Path, name: Path) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    (tmp_path / "a").write_text("a")
    monkeypatch.setattr(os, "link", refuse)
    link_or_copy(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_text() == "a"
    assert (tmp_path / "b").stat().st_nlink == 1
