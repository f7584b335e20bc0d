"""What runs keep for later ones: listed with its size on disk, and removed when asked."""

import json
import os
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import PipelineError, UsageError
from pipeline.locks import hold, living_owner, lock_file

KINDS = {
    "checkpoints": "state of trainings, from which a stopped one goes on",
    "shards": "resized images, so that no original is decoded twice",
    "originals": "downloaded files that are not in data/raw; fetched again when they are wanted",
    "parts": "transfers that were stopped; the next scrape goes on with them",
    "listing": "what sites listed; without it the next scrape lists anew and sees newer posts",
    "drawings": "pictures of `pipeline booru`, drawn again when they are wanted",
    "leftovers": "files of runs that were killed; nothing uses them",
}
ALL = "all"

_DATA, _MODELS, _REPORTS = Path("data"), Path("models"), Path("reports")
_STORE = _DATA / ".store"
_RAW = _DATA / "raw"
_FOLDERS = (_DATA, _MODELS, _REPORTS)
_STAGE_FOLDERS = {
    "scrape": _DATA,
    "resize": _DATA,
    "manifest": _DATA,
    "train": _MODELS,
    "evaluate": _REPORTS,
}
_RAW_NEW, _RAW_OLD = _DATA / ".raw.new", _DATA / ".raw.old"
_CHECKPOINTS = _MODELS / "checkpoints"
_CHECKPOINT = re.compile(r"step-(\d+)\.pt")
_DAMAGED_CHECKPOINT = re.compile(r"step-\d{9}\.pt\.damaged")
# Commands that take no lock write such a file for minutes at most.
_LEFTOVER_SECONDS = 600


@dataclass(frozen=True)
class Usage:
    """Bytes on disk, each hard-linked file once, and how many of them removing frees."""

    bytes: int
    freed: int


@dataclass(frozen=True)
class Kept:
    """Files of one kind under `path`, what is to be said of them, and the locks of their users."""

    kind: str
    path: Path
    about: str
    files: tuple[Path, ...]
    locks: tuple[Path, ...]

    @property
    def usage(self) -> Usage:
        """What the files take."""
        return usage(self.files)

    @property
    def user(self) -> str | None:
        """The process that works with the files now, if one is known."""
        owners = [owner for lock in self.locks if (owner := living_owner(lock)) is not None]
        return f"{owners[0].command}, process {owners[0].pid}" if owners else None


@dataclass(frozen=True)
class Removal:
    """How removing one kept thing ended: the bytes that it freed, or why it was left alone."""

    kept: Kept
    freed: int
    problem: str | None = None


def list_kept() -> list[Kept]:
    """Return what is kept in the project in the working folder, by kind.

    Raises `PipelineError` where a folder cannot be read.
    """
    try:
        found = [
            *_checkpoints(),
            _folder("shards", _STORE / "resized", (_stage_lock("resize"),)),
            _originals(),
            _folder("parts", _STORE / "parts", _store_locks()),
            _listing(),
            _folder("drawings", _STORE / "drawings", (_STORE / "drawings/.lock",)),
            _leftovers(),
        ]
    except OSError as error:
        raise PipelineError(f"{error.filename}: cannot be read: {error.strerror}") from None
    return [kept for kept in found if kept.files]


def choose(found: Sequence[Kept], names: Iterable[str]) -> list[Kept]:
    """Return those of `found` whose kind or path is in `names`; `all` means each.

    Raises `UsageError` for a name that is neither a kind nor a path of `found`.
    """
    wanted = {name if name in {ALL, *KINDS} else str(Path(name)) for name in names}
    unknown = wanted - {ALL, *KINDS} - {str(kept.path) for kept in found}
    if unknown:
        raise UsageError(
            f"--remove: {min(unknown)} is neither kept here nor a kind; kinds are "
            f"{', '.join(KINDS)}; {ALL} means each of them"
        )
    return [kept for kept in found if wanted & {ALL, kept.kind, str(kept.path)}]


def remove(kept: Kept) -> Removal:
    """Remove `kept`, unless a process uses it or it may be wanted yet.

    Raises `PipelineError` where a file cannot be removed.
    """
    if kept.kind == "originals" and not _is_set_whole():
        problem = f"there is no {_RAW}, so it is not known which are wanted; run pipeline scrape"
        return Removal(kept, 0, problem)
    before = kept.usage.freed
    with ExitStack() as held:
        try:
            for lock in kept.locks:
                held.enter_context(hold(lock, "pipeline clean"))
        except PipelineError as error:
            return Removal(kept, 0, str(error))
        # What was listed before the locks were taken may have changed.
        for now in list_kept():
            if (now.kind, now.path) == (kept.kind, kept.path):
                _unlink(now.files)
        # While the locks are held: afterwards another process may have taken them.
        _remove_empty_folders(kept)
    return Removal(kept, before - kept.usage.freed)


def usage(files: Iterable[Path]) -> Usage:
    """Return what `files` take on disk; a file that has gone meanwhile takes nothing."""
    inodes: dict[tuple[int, int], tuple[int, int]] = {}
    taken = freed = 0
    for path in files:
        try:
            status = path.lstat()
        except FileNotFoundError:
            continue
        inode, size = (status.st_dev, status.st_ino), status.st_blocks * 512
        names, _ = inodes.get(inode, (0, 0))
        inodes[inode] = (names + 1, size)
        if names == 0:
            taken += size
        if names + 1 == status.st_nlink:
            freed += size
    return Usage(taken, freed)


def _stage_lock(name: str) -> Path:
    return lock_file(_STAGE_FOLDERS[name], name)


def _store_locks() -> tuple[Path, ...]:
    return (_stage_lock("scrape"), _STORE / "lock")


def _checkpoints() -> Iterator[Kept]:
    for run in _entries(_CHECKPOINTS):
        if run.is_dir():
            lock = run / "lock"
            locks = (lock,) if lock.exists() else (_stage_lock("train"),)
            files = tuple(path for path in _files(run) if path not in _names(lock))
            yield Kept("checkpoints", run, _state_of(run, files), files, locks)


def _state_of(run: Path, files: Iterable[Path]) -> str:
    """Return how far a training has come, by its own word or else by its newest checkpoint."""
    steps = [int(named[1]) for file in files if (named := _CHECKPOINT.fullmatch(file.name))]
    try:
        told = json.loads((run / "run.json").read_text(encoding="utf-8"))
        if told["finished"]:
            return f"finished at step {int(told['step'])}"
    except (OSError, ValueError, LookupError, TypeError):
        return f"at step {max(steps)}" if steps else "without a checkpoint"
    return f"unfinished, at step {max(steps)}" if steps else "unfinished, without a checkpoint"


def _folder(kind: str, path: Path, locks: tuple[Path, ...]) -> Kept:
    own = {name for lock in locks for name in _names(lock)}
    files = tuple(file for file in _files(path) if file not in own)
    return Kept(kind, path, KINDS[kind], files, locks)


def _originals() -> Kept:
    wanted = _wanted_originals()
    folder = _STORE / "files"
    files = tuple(file for file in _files(folder) if file.name not in wanted)
    about = KINDS["originals"]
    if not _is_set_whole():
        about = f"downloaded files; there is no {_RAW}, so any of them may be wanted"
    return Kept("originals", folder, about, files, _store_locks())


def _is_set_whole() -> bool:
    return (_RAW / "posts.jsonl").is_file()


def _wanted_originals() -> set[str]:
    """Return the sha256 sums of the files that are in the set."""
    if not _is_set_whole():
        return set()
    path = _RAW / "posts.jsonl"
    try:
        with path.open(encoding="utf-8") as lines:
            return {json.loads(line)["sha256"] for line in lines}
    except (ValueError, LookupError, TypeError):
        raise PipelineError(f"{path}: damaged; run pipeline scrape again") from None


def _listing() -> Kept:
    path = _STORE / "listing.sqlite"
    names = [path.with_name(f"{path.name}{ending}") for ending in ("", "-wal", "-shm")]
    files = tuple(name for name in names if name.is_file())
    return Kept("listing", path, KINDS["listing"], files, _store_locks())


def _leftovers() -> Kept:
    settled = time.time() - _LEFTOVER_SECONDS
    files = [
        *(file for folder in _unused_sets() for file in _files(folder)),
        *(file for folder in _FOLDERS for file in _files(folder) if _is_leftover(file, settled)),
    ]
    locks = (*map(_stage_lock, _STAGE_FOLDERS), _STORE / "lock")
    return Kept("leftovers", Path("leftovers"), KINDS["leftovers"], tuple(files), _present(locks))


def _unused_sets() -> tuple[Path, ...]:
    """Return the folders of sets that no run needs.

    Where `data/raw` is missing, the old set is the only one: a run was killed between two renames.
    """
    return (_RAW_NEW, _RAW_OLD) if _is_set_whole() else (_RAW_NEW,)


def _is_leftover(file: Path, settled: float) -> bool:
    if file.name.endswith(".lock.json"):
        return living_owner(file.with_suffix("")) is None
    temporary = file.name.startswith(".") and file.name.endswith(".tmp")
    damaged = _DAMAGED_CHECKPOINT.fullmatch(file.name) and file.is_relative_to(_CHECKPOINTS)
    if not temporary and not damaged:
        return False
    try:
        return file.lstat().st_mtime < settled
    except FileNotFoundError:
        return False


def _present(locks: Iterable[Path]) -> tuple[Path, ...]:
    """Return the locks that a process may hold: one that has no file is held by nobody."""
    return tuple(lock for lock in locks if lock.exists())


def _names(lock: Path) -> tuple[Path, Path]:
    """Return the names of a lock's two files."""
    return lock, lock.with_name(f"{lock.name}.json")


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _files(folder: Path) -> list[Path]:
    """Return every file under `folder`, which may be a link to a folder; none where it is none."""
    return sorted(Path(root, name) for root, _, names in os.walk(folder) for name in names)


def _unlink(files: Iterable[Path]) -> None:
    try:
        for file in files:
            file.unlink(missing_ok=True)
    except OSError as error:
        raise PipelineError(f"{error.filename}: cannot be removed: {error.strerror}") from None


def _remove_empty_folders(kept: Kept) -> None:
    """Remove the folders that are left empty, but none that a link leads to."""
    lock = kept.path / "lock"
    if kept.kind == "checkpoints" and lock in kept.locks:
        _unlink(_names(lock))
    tops = _unused_sets() if kept.kind == "leftovers" else (kept.path,)
    for top in tops:
        for root, _, _ in os.walk(top, topdown=False):
            with suppress(OSError):
                Path(root).rmdir()
