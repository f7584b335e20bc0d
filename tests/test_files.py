"""Atomic writing: whole or not at all."""

import errno
import os
import stat
from pathlib import Path

import pytest

from pipeline.errors import PipelineError
from pipeline.files import atomic_path, write_text, writing
from tests.waiting import start_waiting


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(IsADirectoryError), atomic_path(path) as temporary:
        (temporary.write_text("half"), tmp_path.read_text())
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_ctrl_c_while_a_temporary_file_is_locked_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fcntl = pytest.importorskip("fcntl")

    def interrupted(handle: int, operation: int) -> None:
        assert len(list(tmp_path.iterdir())) == 1
        raise KeyboardInterrupt

    monkeypatch.setattr(fcntl, "flock", interrupted)
    with pytest.raises(KeyboardInterrupt), atomic_path(tmp_path / "a.txt"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_hard_link_keeps_the_old_content(tmp_path: Path) -> None:
    path, link = tmp_path / "a.txt", tmp_path / "link.txt"
    write_text(path, "old")
    link.hardlink_to(path)
    write_text(path, "new")
    assert (path.read_text(), link.read_text()) == ("new", "old")


def test_files_are_readable_by_others_as_the_umask_allows(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "a.txt"
    write_text(path, "text")
    (tmp_path / "plain").touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_the_umask_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It belongs to the process: files that other threads create meanwhile would be writable."""
    monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("the umask was changed"))
    write_text(tmp_path / "a.txt", "text")


def test_the_folder_is_synced_after_the_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[bool, list[str]]] = []
    sync = os.fsync

    def spy(handle: int) -> None:
        folder = stat.S_ISDIR(os.fstat(handle).st_mode)
        synced.append((folder, [path.name for path in tmp_path.iterdir()] if folder else []))
        sync(handle)

    monkeypatch.setattr(os, "fsync", spy)
    write_text(tmp_path / "a.txt", "text")
    assert synced == [(False, []), (True, ["a.txt"])]


@pytest.mark.parametrize(("number", "raised"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_a_folder_that_cannot_be_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, raised: bool
) -> None:
    """A file system that knows no such thing is no fault, a broken disk is one."""
    sync = os.fsync

    def fail_for_folders(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(number, os.strerror(number))
        sync(handle)

    monkeypatch.setattr(os, "fsync", fail_for_folders)
    if raised:
        with pytest.raises(OSError, match=os.strerror(number)):
            write_text(tmp_path / "a.txt", "text")
    else:
        write_text(tmp_path / "a.txt", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize(
    "name", ["n" * 251 + ".txt", "é" * 125 + ".txt", "\N{GRINNING FACE}" * 62 + ".txt"]
)
def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path: Path, name: str) -> None:
    write_text(tmp_path / name, "text")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_name_that_is_too_long_is_the_one_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 256)
    with pytest.raises(OSError, match=f"File name too long: '{path}'"):
        write_text(path, "text")
    assert list(tmp_path.iterdir()) == []


def test_what_fails_without_a_name_is_the_file_that_is_written(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with pytest.raises(OSError, match=f"No space left on device: '{path}'"), atomic_path(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(FileNotFoundError, match=f"'{path}'"), atomic_path(path) as temporary:
        temporary.unlink()


def test_what_fails_at_another_file_keeps_its_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent"), atomic_path(tmp_path / "a.txt"):
        (tmp_path / "absent").read_bytes()


def test_a_file_in_place_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "reports").touch()
    path = tmp_path / "reports/scrape/a.json"
    problem = "/reports: is a file, and a folder is needed there"
    with pytest.raises(PipelineError, match=problem), writing(path):
        write_text(path, "text")


@pytest.mark.parametrize("has_links", [True, False])
def test_an_existing_file_may_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "no links")

    if not has_links:
        monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "a.txt"
    with atomic_path(path, replace=False) as temporary:
        temporary.write_text("old")
    with pytest.raises(FileExistsError), atomic_path(path, replace=False) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_temporary_file_that_another_computer_took_is_not_renamed(tmp_path: Path) -> None:
    """Locks do not reach others on some network file systems: it may write under the same name."""
    pytest.importorskip("fcntl")
    path = tmp_path / "a.txt"

    def write() -> None:
        with atomic_path(path) as temporary:
            temporary.unlink()
            temporary.write_text("half")

    with pytest.raises(OSError, match="another computer") as error:
        write()
    assert error.value.filename == str(path)
    assert [one.read_text() for one in tmp_path.iterdir()] == ["half"]


WRITER = """
import sys
from pathlib import Path
from pipeline.files import atomic_path
with atomic_path(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    print(temporary.name, flush=True)
    sys.stdin.read()
"""


def test_only_what_a_killed_process_left_of_a_file_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    killed, leftover = start_waiting(WRITER, path)
    living, in_use = start_waiting(WRITER, path)
    killed.kill()
    killed.communicate()
    others = {".a.png.tmp", ".b.png.00000000.tmp", ".a.png.notes567.tmp"}
    for name in others:
        (tmp_path / name).touch()
    assert {path.name for path in tmp_path.iterdir()} == others | {leftover, in_use}

    write_text(path, "whole")

    assert {path.name for path in tmp_path.iterdir()} == others | {in_use, "a.png"}
    assert path.read_text() == "whole"
    living.communicate()
    assert path.read_text() == "half"
    assert {path.name for path in tmp_path.iterdir()} == others | {"a.png"}
