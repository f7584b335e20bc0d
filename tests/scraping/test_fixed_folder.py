"""A set in a folder that cannot be renamed, as a mount point, is replaced within it."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import PipelineError
from pipeline.images.records import POSTS_FILE
from pipeline.scraping.raw_set import try_replacing, write_set
from tests.scraping.test_raw_set import contents, entries

REPLACE = Path.replace


class FixedFolder:
    """Lets no folder of a name be renamed; counts the other renames, and fails one of them."""

    def __init__(self, name: str, error: int, failing: int = 0) -> None:
        self.name, self.error, self.failing, self.count = name, error, failing, 0

    def replace(self, path: Path, target: Path) -> Path:
        if path.name == self.name:
            raise OSError(self.error, os.strerror(self.error), str(path))
        self.count += 1
        if self.count == self.failing:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return REPLACE(path, target)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Path, "replace", lambda path, target: self.replace(path, target))


@pytest.mark.parametrize("error", [errno.EBUSY, errno.EXDEV])
def test_a_set_is_replaced_within_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "lost+found").mkdir()
    FixedFolder("raw", error).install(monkeypatch)
    for ids in ((1, 2), (2, 3)):
        try_replacing(raw)
        write_set(entries(tmp_path, *ids), raw)
        names = {path.name for path in raw.iterdir()}
        assert names == {*(f"{id}.png" for id in ids), POSTS_FILE, "lost+found"}
        assert [line[:12] for line in (raw / POSTS_FILE).read_text().splitlines()] == [
            '{"bytes": 9,'
        ] * 2
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_fault_while_it_is_written_leaves_the_old_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = tmp_path / "raw"
    write_set(entries(tmp_path, 1, 2), raw)
    before = contents(raw)
    FixedFolder("raw", errno.EBUSY).install(monkeypatch)

    def full(source: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))

    with pytest.raises(PipelineError, match="No space left on device, so the new set is not in"):
        write_set(entries(tmp_path, 3), raw, full)
    assert contents(raw) == before


def test_the_next_run_finishes_what_ended_at_any_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each rename; before the first of them the old set is whole."""
    for failing in range(1, 5):
        folder = tmp_path / str(failing)
        folder.mkdir()
        raw = folder / "raw"
        write_set(entries(folder, 1, 2), raw)
        before = contents(raw)
        (folder / "expected").mkdir()
        new = entries(folder, 2, 3)
        write_set(new, folder / "expected")
        with monkeypatch.context() as patched:
            FixedFolder("raw", errno.EBUSY, failing).install(patched)
            with pytest.raises(PipelineError) as error:
                write_set(new, raw)
            ended_before = failing == 1
            assert ("the rest of it lies in" in str(error.value)) is not ended_before
            FixedFolder("raw", errno.EBUSY).install(patched)
            try_replacing(raw)
        assert contents(raw) == (before if ended_before else contents(folder / "expected"))


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EROFS])
def test_a_fault_of_the_sets_disk_names_the_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    """Not the store that it is copied from, on another disk."""

    def refuse(*paths: object) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    open_file = Path.open

    def full(path: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if mode == "wb" and path.parent.name == ".raw.new":
            raise OSError(error, os.strerror(error))
        return open_file(path, mode, *arguments, **options)

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(PipelineError) as raised:
        write_set(entries(tmp_path, 1), tmp_path / "raw")
    assert str(raised.value).startswith(f"{tmp_path}/.raw.new/1.png: {os.strerror(error)}, so")


def may_mount() -> bool:
    unshare = shutil.which("unshare")
    command = [str(unshare), "-Urm", "mount", "-t", "tmpfs", "none", "/mnt"]
    return unshare is not None and subprocess.run(command, capture_output=True).returncode == 0


SCRIPT = """
import sys
from pathlib import Path
from tests.scraping.test_fixed_folder import entries, try_replacing, write_set
folder = Path(sys.argv[1])
for ids in ((1, 2), (2, 3)):
    try_replacing(folder / "raw")
    write_set(entries(folder, *ids), folder / "raw")
"""


@pytest.mark.skipif(not may_mount(), reason="no mounts for users here")
@pytest.mark.parametrize(
    "mount",
    [
        "mount --bind volume raw",
        "mount -t overlay none -o lowerdir=low,upperdir=up,workdir=work .; cd .",
    ],
)
def test_real_mounts(tmp_path: Path, mount: str) -> None:
    """A volume, and a folder that a container's image has."""
    for name in ("raw", "volume", "low/raw", "up", "work"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "low/raw/old.txt").touch()
    shell = f"cd {tmp_path} && {mount} && PYTHONPATH={Path.cwd()} {sys.executable} - {tmp_path}"
    command = ["unshare", "-Urm", "sh", "-c", f"{shell} && ls -A raw"]
    result = subprocess.run(command, input=SCRIPT, capture_output=True, text=True, check=False)
    names = [name for name in result.stdout.split() if name != "old.txt"]
    assert names == ["2.png", "3.png", POSTS_FILE], result.stderr
