"""Verify the files of store, raw set and DVC's cache by their hashes."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import PipelineError, some_of
from pipeline.images.records import POSTS_FILE, read_posts
from pipeline.machine_errors import fault_text
from pipeline.machine_limits import usable_cores
from pipeline.progress import Progress, Silent
from pipeline.scraping.download import Digests
from pipeline.scraping.store import Store, naming_faults


@dataclass(frozen=True)
class _File:
    """A file, its expected sha256 or md5, and whether it is removed where it has another."""

    path: Path
    digest: str
    removable: bool


def is_intact_object(path: Path) -> bool:
    """Return whether a file of DVC's cache has the md5 that it is named by. Raises `OSError`."""
    return path.is_file() and Digests.of(path).md5 == _object_md5(path)


def check_files(
    store: Path,
    raw: Path,
    progress: Progress = Silent(),
    *,
    cached: Iterable[Path] = (),
) -> int:
    """Hash every file of `store`, of `raw` and of DVC's cache; return how many there are.

    `cached` are files that are named by their md5. Damaged files of the store and the cache are
    removed, so that the next scrape fetches them again. Raises `PipelineError` with the names of
    damaged or missing files, or where nothing can be read.
    """
    with naming_faults(store):
        objects = [
            _File(path, _object_md5(path), removable=True) for path in cached if path.exists()
        ]
        if not (store / "files").is_dir():
            return _verify(_set_files(raw) + objects, progress)
        with Store(store, progress.message) as opened:
            stored = [_File(path, path.name, removable=True) for path in opened.file_paths()]
            in_set = _set_files(raw) if not stored or (raw / POSTS_FILE).exists() else []
            return _verify(in_set + stored + objects, progress)


def _object_md5(path: Path) -> str:
    return path.parent.name + path.name.removesuffix(".dir")


def _set_files(raw: Path) -> list[_File]:
    return [_File(raw / post.file, post.sha256, removable=False) for post in read_posts(raw)]


def _verify(files: list[_File], progress: Progress) -> int:
    """Return the number of files. Raises `PipelineError` where some are damaged or missing."""
    damaged = {file: inode for file, inode, intact in _hash_all(files, progress) if not intact}
    removed = sum(_remove(file.path, inode) for file, inode in damaged.items() if file.removable)
    if damaged:
        names = [str(file.path) for file in files if file in damaged]
        raise PipelineError(
            f"{len(damaged)} of {len(files)} files are damaged or missing: {some_of(names)}; "
            + (f"{removed} removed from store or cache; " if removed else "")
            + "run pipeline scrape to restore them"
        )
    return len(files)


def _remove(path: Path, inode: object) -> bool:
    """Remove a damaged file, unless it was replaced since it was read; return whether it was."""
    if _inode(path) != inode:
        return False
    path.unlink(missing_ok=True)
    return True


def _hash_all(files: list[_File], progress: Progress) -> Iterator[tuple[_File, object, bool]]:
    """Yield each file, its inode, and whether it has its hash. Hard links are read once."""
    by_inode: dict[object, list[_File]] = {}
    for file in files:
        by_inode.setdefault(_inode(file.path), []).append(file)
    progress.start("check", len(files), "files")
    done = damaged = 0
    try:
        with ThreadPoolExecutor(usable_cores()) as pool:
            hashes = pool.map(_hash, [names[0].path for names in by_inode.values()])
            for (inode, names), digests in zip(by_inode.items(), hashes, strict=True):
                for file in names:
                    intact = file.digest in digests
                    done, damaged = done + 1, damaged + (not intact)
                    yield file, inode, intact
                progress.update(done, damaged=damaged)
    finally:
        progress.finish()


def _inode(path: Path) -> object:
    """Return device and inode of a file; the path itself where there is none."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return path
    return stat.st_dev, stat.st_ino


def _hash(path: Path) -> tuple[str, ...]:
    """Return the sha256 and the md5 of a file, nothing for a missing one."""
    try:
        digests = Digests.of(path)
        return digests.sha256, digests.md5
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise PipelineError(
            f"{path}: cannot be read: {fault_text(error)}; check the disk, or remove the file to "
            "have it fetched again"
        ) from None
