"""Write files atomically, so that a file under its final name is complete; hash files."""

import csv
import errno
import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.errors import PipelineError

# File systems take names of 255 bytes, some of 143: a temporary name must not be the longer one.
_KEPT_NAME_BYTES = 100
_FIRST_TOKEN = "0" * 8


@contextmanager
def atomic_path(path: Path, replace: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path`; sync it and rename it to `path` after the block.

    The folder is synced too, so that the file survives a power cut. When the block raises, the
    temporary file is removed and `path` is unchanged; an `OSError` that names no file, or the
    temporary one, names `path` instead. What a killed process has left of `path` is removed. A
    missing parent folder is created. Without `replace`, raises `FileExistsError` where `path`
    exists at the end.
    """
    if not path.name:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked_temporary(path) as (temporary, lock), _naming(path, temporary):
        try:
            yield temporary
            sync_file(temporary)
            if lock is not None and not _is_at(lock, temporary):
                raise OSError(errno.EBUSY, "another computer writes it, unseen by this one's locks")
            if replace:
                temporary.replace(path)
            else:
                _rename_to_new(temporary, path)
        except BaseException:
            _remove_own(temporary, lock)
            raise
        sync_folder(path.parent)


@contextmanager
def _locked_temporary(path: Path) -> Iterator[tuple[Path, int | None]]:
    """Make an empty file beside `path`, locked while the block runs, where that is possible."""
    temporary, lock = _make_temporary(path)
    try:
        yield temporary, lock
    finally:
        if lock is not None:
            os.close(lock)


def _make_temporary(path: Path) -> tuple[Path, int | None]:
    """Return a new file beside `path`, and the descriptor that locks it; None if nothing does.

    The name of a locked one is always the same, but while another process or thread writes to
    `path`. So it is there already where one was killed.
    """
    temporary, is_unique = path.with_name(_temporary_name(path.name, _FIRST_TOKEN)), False
    _remove_unlocked(temporary)
    while True:
        try:
            with _naming(path, temporary):
                handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            temporary, is_unique = _unique_temporary(path), True
            continue
        try:
            is_locked = _lock(handle, wait=True)
            # Another process may have taken it for a leftover before it was locked.
            is_there = temporary.exists() if is_unique else _is_at(handle, temporary)
            keeps_lock = is_locked and is_there and _is_writable(temporary)
        except BaseException:  # Ctrl-C
            _remove_own(temporary, handle)
            os.close(handle)
            raise
        if keeps_lock:
            return temporary, handle
        # Systems without such locks do not rename an open file either.
        os.close(handle)
        if is_there:
            return temporary.rename(_unique_temporary(path)), None
        temporary, is_unique = _unique_temporary(path), True


def _remove_own(temporary: Path, handle: int | None) -> None:
    """Remove the temporary file, unless another process has one of that name by now."""
    with suppress(OSError):
        if handle is None or _is_at(handle, temporary):
            temporary.unlink()


def _unique_temporary(path: Path) -> Path:
    return path.with_name(_temporary_name(path.name, secrets.token_hex(4)))


def _remove_unlocked(temporary: Path) -> None:
    """Remove what a killed process has left; not what a living one has, or what has no locks."""
    with suppress(OSError):
        handle = os.open(temporary, os.O_RDWR)
        try:
            if _lock(handle, wait=False) and _is_at(handle, temporary):
                temporary.unlink()
        finally:
            os.close(handle)


def _is_at(handle: int, path: Path) -> bool:
    """Return whether an open file is the one at `path`."""
    try:
        return os.path.samestat(os.fstat(handle), path.lstat())
    except FileNotFoundError:
        return False


def _is_writable(locked: Path) -> bool:
    """Return whether a locked file can be written by another descriptor; on SMB it cannot."""
    try:
        locked.write_bytes(b"\0")
        os.truncate(locked, 0)
    except OSError:
        return False
    return True


def _lock(handle: int, wait: bool) -> bool:
    """Lock an open file until it is closed, or all processes that have it have ended.

    Return whether it is locked: not where another process holds it, or where the system or file
    system has no such locks.
    """
    try:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return False
    return True


def _rename_to_new(temporary: Path, path: Path) -> None:
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError:
        # Some file systems have no links.
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        temporary.replace(path)
    else:
        temporary.unlink()


def _temporary_name(name: str, token: str) -> str:
    """Return a hidden name that begins as `name`, as far as that is text."""
    start = os.fsencode(name)[:_KEPT_NAME_BYTES].decode(errors="ignore")
    return f".{start}.{token}.tmp"


@contextmanager
def _naming(path: Path, temporary: Path) -> Iterator[None]:
    """Name `path` in an `OSError` that names no file, or `temporary` or one named after it."""
    try:
        yield
    except OSError as error:
        name = "" if error.filename is None else Path(str(error.filename)).name
        if error.errno is None or (name and not name.startswith(temporary.name)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def path_problem(path: Path) -> str | None:
    """Return which part of `path` keeps files from being there; None if none does.

    That is a link to what is not there, as to a disk, or a file in place of a folder.
    """
    # What may not be looked at says nothing.
    with suppress(OSError):
        for folder in (path, *path.parents):
            if folder.is_symlink() and not folder.exists():
                target = folder.readlink()
                return f"{folder}: is a link to {target}, which is not there; mount its disk"
            if folder != path and folder.is_file():
                return f"{folder}: is a file, and a folder is needed there; move it away"
    return None


def sync_file(path: Path) -> None:
    """Write a file to the disk, so that a power cut does not empty it. Raises `OSError`."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Write the names in `folder` to the disk, so that a power cut undoes no rename.

    Does nothing on systems that cannot open folders, such as Windows.
    """
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        # Some network file systems cannot sync a folder.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raise `PipelineError` for an `OSError` of a write to `path`, as on a full disk."""
    try:
        yield
    except OSError as error:
        problem = f"{path}: cannot be written: {error.strerror or str(error)}"
        raise PipelineError(path_problem(path) or problem) from None


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 to `path`, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file, atomically."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hex. Raises `OSError`."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
