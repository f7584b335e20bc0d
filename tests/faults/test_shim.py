"""The injector itself: it sees the operations of every library that writes, and fails them."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.shim import Fault, Shim

SQLITE = """
import sqlite3
database = sqlite3.connect("state.sqlite")
database.execute("PRAGMA journal_mode = WAL")
with database:
    database.execute("CREATE TABLE a (b)")
"""
TORCH = """
import torch
torch.save({"a": torch.zeros(1000)}, "state.pt")
"""
COPY = """
import os, pathlib, shutil
pathlib.Path("a").write_bytes(b"x" * 1000)
shutil.copyfile("a", "b")
os.link("a", "c")
os.replace("b", "a")
os.mkdir("d")
pathlib.Path("c").unlink()
shutil.rmtree("d")
"""
WORKER = """
import subprocess, sys
code = "import os; os.fsync(os.open('made', os.O_CREAT | os.O_WRONLY))"
subprocess.run([sys.executable, "-c", code], check=True)
"""
WRITE = "import os; os.write(os.open('made', os.O_CREAT | os.O_WRONLY), b'12345678')"


def run(
    shim: Shim,
    folder: Path,
    code: str,
    fault: Fault = Fault(),
) -> "subprocess.CompletedProcess[str]":
    shim.arm(folder, fault)
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=os.environ | shim.variables,
        start_new_session=True,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (SQLITE, {"open state.sqlite", "write state.sqlite-wal", "fsync state.sqlite-wal"}),
        (TORCH, {"open state.pt", "write state.pt"}),
        (
            COPY,
            {
                "open a",
                "write a",
                "open b",
                "copy b",
                "link c",
                "rename a",
                "mkdir d",
                "unlink c",
                "unlink d",
            },
        ),
        (WORKER, {"open made", "fsync made"}),
    ],
)
def test_sees_what_is_written(shim: Shim, tmp_path: Path, code: str, expected: set[str]) -> None:
    result = run(shim, tmp_path, code)
    assert result.returncode == 0, result.stderr
    assert expected <= set(shim.operations)


def test_files_outside_the_folder_do_not_count(shim: Shim, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    shim.arm(tmp_path / "folder", Fault(1, errno.EIO))
    subprocess.run(
        [sys.executable, "-c", WRITE], cwd=tmp_path, env=os.environ | shim.variables, check=True
    )
    assert shim.operations == []


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_the_operation_fails_and_a_write_is_torn(shim: Shim, tmp_path: Path, error: int) -> None:
    result = run(shim, tmp_path, WRITE, Fault(2, error))
    assert f"[Errno {error}]" in result.stderr
    assert (tmp_path / "made").read_bytes() == b"1234"
    assert shim.operations == ["open made", "write made"]


def test_one_operation_fails_or_all_from_it_on(shim: Shim, tmp_path: Path) -> None:
    code = """
import os
for name in "abc":
    try:
        os.mkdir(name)
    except OSError as error:
        print(name, error.errno)
"""
    assert run(shim, tmp_path, code, Fault(2, errno.EIO)).stdout == f"b {errno.EIO}\n"
    assert run(shim, tmp_path, code, Fault(2, errno.EROFS, lasting=True)).stdout == (
        f"a {errno.EEXIST}\nb {errno.EROFS}\nc {errno.EROFS}\n"
    )


@pytest.mark.parametrize(
    ("code", "message"), [(SQLITE, "sqlite3.OperationalError: "), (TORCH, "RuntimeError: ")]
)
def test_libraries_notice_a_full_disk(shim: Shim, tmp_path: Path, code: str, message: str) -> None:
    assert message in run(shim, tmp_path, code, Fault(2, errno.ENOSPC, lasting=True)).stderr


def test_kills_the_program_and_its_workers(shim: Shim, tmp_path: Path) -> None:
    result = run(shim, tmp_path, WORKER, Fault(2))
    assert result.returncode == -9
    assert (tmp_path / "made").read_bytes() == b""
