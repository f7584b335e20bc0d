"""Faults of the machine as one line, and errors of the program as none."""

import errno
import os
import sqlite3
from pathlib import Path

import pytest
import torch

from pipeline.errors import fault_line


def raised_by_torch() -> RuntimeError:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    return caught.value


def raised_by_sqlite(folder: Path) -> sqlite3.OperationalError:
    with pytest.raises(sqlite3.OperationalError) as caught:
        sqlite3.connect(folder / "absent/state.sqlite").execute("SELECT 1")
    return caught.value


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "a.csv: No space left on device; free space on its disk, "),
        (errno.EIO, "a.csv: Input/output error; check the disk, "),
        (errno.EROFS, "a.csv: Read-only file system; make it writable, "),
        (errno.EMFILE, "a.csv: Too many open files; raise the limit of open files (ulimit -n), "),
        (errno.ENOTDIR, "a.csv: Not a directory"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(number: int, message: str) -> None:
    assert str(fault_line(OSError(number, os.strerror(number), "a.csv"))).startswith(message)


def test_both_names_of_a_rename_are_given() -> None:
    error = OSError(errno.EXDEV, os.strerror(errno.EXDEV), "a", None, "b")
    assert fault_line(error) == "a -> b: Invalid cross-device link"


def test_too_little_memory_says_how_much_was_asked_for() -> None:
    message = str(fault_line(raised_by_torch()))
    assert message.startswith("memory: ")
    assert "you tried to allocate 1152921504606846976 bytes" in message
    assert str(fault_line(MemoryError())).startswith("memory: not enough of it; close other")
    loader = ImportError("libtorch_cpu.so: failed to map segment from shared object")
    assert str(fault_line(loader)).startswith(f"memory: {loader}; close other programs")
    cuda = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 MiB. GPU 0 has more.")
    assert str(fault_line(cuda)).startswith("memory: CUDA out of memory; close other programs")


def test_a_loop_of_links_is_named() -> None:
    message = "Symlink loop from 'a'"  # of pathlib before Python 3.13
    assert fault_line(RuntimeError(message)) == f"{message}; remove that link"


def test_a_database_that_cannot_be_used_is_reported(tmp_path: Path) -> None:
    message = str(fault_line(raised_by_sqlite(tmp_path)))
    assert message.startswith("database: unable to open database file; check the disk, ")


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a"),
        ImportError("libcudart.so.13: cannot open shared object file"),
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        sqlite3.OperationalError("no such table: files"),
        sqlite3.DatabaseError("file is not a database"),
        # Libraries raise it for what is no file's fault.
        OSError("cannot identify image file"),
    ],
)
def test_other_errors_are_the_programs_own(error: Exception) -> None:
    assert fault_line(error) is None
