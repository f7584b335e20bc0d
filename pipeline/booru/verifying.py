"""Reading store, set and caches back: is every file what its sha256 says?"""

import os
import sqlite3
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pipeline.booru.adoption import Locate, files_of
from pipeline.booru.rawset import POSTS_FILE
from pipeline.booru.store import Store
from pipeline.errors import PipelineError, some_of
from pipeline.faults import fault_text
from pipeline.files import sha256_of
from pipeline.images.records import read_posts
from pipeline.progress import Progress, Silent


@dataclass(frozen=True)
class _File:
    """A file, the hash that it should have, and whether it is dropped where it has another."""

    path: Path
    sha256: str
    dropped: bool


def check_files(
    store: Path,
    raw: Path,
    progress: Progress = Silent(),  # noqa: B008
    *,
    cached: Iterable[Locate] = (),
) -> int:
    """Hash every file of `store`, of `raw` and of the sets `cached`; return how many there are.

    What is damaged in the store or a cache is dropped there, so that the next scrape fetches it
    again. Raises `PipelineError` that names what is damaged or missing, or where nothing can be
    read.
    """
    copies = [
        _File(kept.path, kept.sha256, dropped=True)
        for locate in cached
        for kept in files_of(locate)
        if kept.path.exists()
    ]
    try:
        if not (store / "files").is_dir():
            return _checked([*_in_set(raw), *copies], progress)
        with Store(store) as kept:
            stored = [_File(path, path.name, dropped=True) for path in kept.files()]
            listed = _in_set(raw) if not stored or (raw / POSTS_FILE).exists() else []
            return _checked([*listed, *stored, *copies], progress)
    except (OSError, sqlite3.Error) as error:
        raise PipelineError(f"{store}: cannot be written or read: {error}") from error


def _in_set(raw: Path) -> list[_File]:
    return [_File(raw / post.file, post.sha256, dropped=False) for post in read_posts(raw)]


def _checked(files: list[_File], progress: Progress) -> int:
    sound = {file for file, whole in _verdicts(files, progress) if whole}
    damaged = [file for file in files if file not in sound]
    for file in damaged:
        if file.dropped:
            file.path.unlink(missing_ok=True)
    if damaged:
        dropped = sum(file.dropped for file in damaged)
        raise PipelineError(
            f"{len(damaged)} of {len(files)} files are damaged or missing: "
            f"{some_of([str(file.path) for file in damaged])}; "
            + (f"{dropped} dropped from where they were kept; " if dropped else "")
            + "run pipeline scrape to have them whole again"
        )
    return len(files)


def _verdicts(files: list[_File], progress: Progress) -> Iterator[tuple[_File, bool]]:
    """Whether each file has its hash. Names of one file are read once."""
    by_inode: dict[object, list[_File]] = {}
    for file in files:
        by_inode.setdefault(_inode(file.path), []).append(file)
    progress.start("check", len(files), "files")
    done = damaged = 0
    try:
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            hashes = pool.map(_hash, [names[0].path for names in by_inode.values()])
            for names, found in zip(by_inode.values(), hashes, strict=True):
                for file in names:
                    sound = found == file.sha256
                    done, damaged = done + 1, damaged + (not sound)
                    yield file, sound
                progress.update(done, damaged=damaged)
    finally:
        progress.finish()


def _inode(path: Path) -> object:
    try:
        found = path.stat()
    except FileNotFoundError:
        return path
    return found.st_dev, found.st_ino


def _hash(path: Path) -> str | None:
    """The sha256 of a file, None where there is none."""
    try:
        return sha256_of(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PipelineError(
            f"{path}: cannot be read: {fault_text(error)}; check the disk, or remove the file to "
            "have it fetched again"
        ) from None
