"""Atomic writing: whole or not at all."""

import stat
from pathlib import Path

import pytest

from pipeline.files import atomic_path, write_text


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(IsADirectoryError), atomic_path(path) as temporary:
        (temporary.write_text("half"), tmp_path.read_text())
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


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
