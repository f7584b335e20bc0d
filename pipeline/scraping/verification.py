"""Reading store, set and caches back: is every file what its hash says?"""

import os
import sqlite3
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import PipelineError, some_of
from pipeline.images.records import read_posts
from pipeline.machine_errors import fault_text
from pipeline.progress import Progress, Silent
from pipeline.scraping.download import Digests
from pipeline.scraping.raw_set import POSTS_FILE
from pipeline.scraping.store import Store


@dataclass(frozen=True)
class _File:
    """A file, the sha256 or md5 that it should have, and whether it is dropped without it."""

    path: Path
    digest: str
    dropped: bool


def is_sound_object(path: Path) -> bool:
    """Return whether a file of DVC's cache has the md5 that it is named by. Raises `OSError`."""
    return path.is_file() and Digests.of(path).md5 == _object_md5(path)


def check_files(
    store: Path,
    raw: Path,
    progress: Progress = Silent(),  # noqa: B008
    *,
    cached: Iterable[Path] = (),
) -> int:
    """Hash every file of `store`, of `raw` and of DVC's cache; return how many there are.

    `cached` are files that are named by their md5. What is damaged in the store or the cache is
    dropped there, so that the next scrape fetches it again. Raises `PipelineError` that names what
    is damaged or missing, or where nothing can be read.
    """
    try:
        copies = [_File(path, _object_md5(path), dropped=True) for path in cached if path.exists()]
        if not (store / "files").is_dir():
            return _checked([*_in_set(raw), *copies], progress)
        with Store(store) as kept:
            stored = [_File(path, path.name, dropped=True) for path in kept.files()]
            listed = _in_set(raw) if not stored or (raw / POSTS_FILE).exists() else []
            return _checked([*listed, *stored, *copies], progress)
    except (OSError, sqlite3.Error) as error:
        raise PipelineError(f"{store}: cannot be written or read: {error}") from error


def _object_md5(path: Path) -> str:
    return path.parent.name + path.name.removesuffix(".dir")


def _in_set(raw: Path) -> list[_File]:
    return [_File(raw / post.file, post.sha256, dropped=False) for post in read_posts(raw)]


def _checked(files: list[_File], progress: Progress) -> int:
    damaged = {file: inode for file, inode, whole in _verdicts(files, progress) if not whole}
    dropped = sum(_drop(file.path, inode) for file, inode in damaged.items() if file.dropped)
    if damaged:
        names = [str(file.path) for file in files if file in damaged]
        raise PipelineError(
            f"{len(damaged)} of {len(files)} files are damaged or missing: {some_of(names)}; "
            + (f"{dropped} dropped from where they were kept; " if dropped else "")
            + "run pipeline scrape to have them whole again"
        )
    return len(files)


def _drop(path: Path, inode: object) -> bool:
    """Remove a damaged file, unless another one has taken its place since it was read."""
    if _inode(path) != inode:
        return False
    path.unlink(missing_ok=True)
    return True


def _verdicts(files: list[_File], progress: Progress) -> Iterator[tuple[_File, object, bool]]:
    """Whether each file has its hash. Names of one file are read once."""
    by_inode: dict[object, list[_File]] = {}
    for file in files:
        by_inode.setdefault(_inode(file.path), []).append(file)
    progress.start("check", len(files), "files")
    done = damaged = 0
    try:
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            hashes = pool.map(_hash, [names[0].path for names in by_inode.values()])
            for (inode, names), found in zip(by_inode.items(), hashes, strict=True):
                for file in names:
                    sound = file.digest in found
                    done, damaged = done + 1, damaged + (not sound)
                    yield file, inode, sound
                progress.update(done, damaged=damaged)
    finally:
        progress.finish()


def _inode(path: Path) -> object:
    try:
        found = path.stat()
    except FileNotFoundError:
        return path
    return found.st_dev, found.st_ino


def _hash(path: Path) -> tuple[str, ...]:
    """The sha256 and the md5 of a file, none where there is none."""
    try:
        if not path.exists():
            return ()
        digests = Digests.of(path)
        return digests.sha256, digests.md5
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise PipelineError(
            f"{path}: cannot be read: {fault_text(error)}; check the disk, or remove the file to "
            "have it fetched again"
        ) from None
