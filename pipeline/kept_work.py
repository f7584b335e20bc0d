"""Files that runs keep for later ones: list them with their size on disk, and remove them."""

import json
import os
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.disk_usage import DiskUsage, disk_usage
from pipeline.errors import PipelineError, UsageError
from pipeline.images.records import POSTS_FILE
from pipeline.locks import hold, living_owner, lock_file, record_file

KINDS = {
    "checkpoints": "state of trainings, from which a stopped one goes on",
    "logs": "logs of trainings whose checkpoints are gone",
    "shards": "resized images, so that no original is decoded twice",
    "originals": "downloaded files that are not in data/raw; fetched again when they are needed",
    "parts": "transfers that were stopped; the next scrape goes on with them",
    "listing": "what sites listed; without it the next scrape lists anew and sees newer posts",
    "drawings": "pictures of `pipeline booru`, drawn again when they are needed",
    "leftovers": "files of runs that were killed; nothing uses them",
}
ALL = "all"
RECORDS = ("logs",)
"""Kinds that no run makes again; `all` leaves them."""

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
_LOGS = _REPORTS / "train/runs"
_CHECKPOINT = re.compile(r"step-(\d+)\.pt")
_DAMAGED_CHECKPOINT = re.compile(r"step-\d{9}\.pt\.damaged")
# Commands without a lock write a temporary file for minutes at most.
_LEFTOVER_SECONDS = 600


@dataclass(frozen=True)
class KeptFiles:
    """Files of one kind under `path`, a description, and the locks of processes that use them."""

    kind: str
    path: Path
    about: str
    files: tuple[Path, ...]
    locks: tuple[Path, ...]

    @property
    def usage(self) -> DiskUsage:
        """Size of the files."""
        return disk_usage(self.files)

    @property
    def user(self) -> str | None:
        """The process that uses the files now, if one is recorded."""
        owners = [owner for lock in self.locks if (owner := living_owner(lock)) is not None]
        return f"{owners[0].command}, process {owners[0].pid}" if owners else None


@dataclass(frozen=True)
class Removal:
    """Result of a removal: the bytes that it freed, or why nothing was removed."""

    kept: KeptFiles
    freed: int
    problem: str | None = None


def list_kept() -> list[KeptFiles]:
    """Return the kept files of the project in the working folder, by kind.

    Raises `PipelineError` where a folder cannot be read.
    """
    try:
        kept = [
            *_checkpoints(),
            _logs(),
            _folder("shards", _STORE / "resized", (_stage_lock("resize"),)),
            _originals(),
            _folder("parts", _STORE / "parts", _store_locks()),
            _listing(),
            _folder("drawings", _STORE / "drawings", (_STORE / "drawings/.lock",)),
            _leftovers(),
        ]
    except OSError as error:
        raise PipelineError(f"{error.filename}: cannot be read: {error.strerror}") from None
    return [one for one in kept if one.files]


def choose(kept: Sequence[KeptFiles], names: Iterable[str]) -> list[KeptFiles]:
    """Return those of `kept` whose kind or path is in `names`; `all` means each but records.

    Raises `UsageError` for a name that is neither a kind nor a path of `kept`.
    """
    selected = {name if name in {ALL, *KINDS} else str(Path(name)) for name in names}
    unknown = selected - {ALL, *KINDS} - {str(one.path) for one in kept}
    if unknown:
        raise UsageError(
            f"--remove: {min(unknown)} is neither kept here nor a kind; kinds are "
            f"{', '.join(KINDS)}; {ALL} means each of them but {', '.join(RECORDS)}"
        )
    if ALL in selected:
        selected |= KINDS.keys() - set(RECORDS)
    return [one for one in kept if selected & {one.kind, str(one.path)}]


def remove(kept: KeptFiles) -> Removal:
    """Remove the files of `kept`, unless a process uses them or they may still be needed.

    Raises `PipelineError` where a file cannot be removed.
    """
    if kept.kind == "originals" and not _has_raw_set():
        problem = f"there is no {_RAW}, so it is not known which are needed; run pipeline scrape"
        return Removal(kept, 0, problem)
    before = kept.usage.freed
    with ExitStack() as held:
        try:
            for lock in kept.locks:
                held.enter_context(hold(lock, "pipeline clean"))
        except PipelineError as error:
            return Removal(kept, 0, str(error))
        # The files may have changed since they were listed, before the locks were taken.
        for current in list_kept():
            if (current.kind, current.path) == (kept.kind, kept.path):
                _unlink(current.files)
        # While the locks are held: afterwards another process may have taken them.
        _remove_empty_folders(kept)
    return Removal(kept, before - kept.usage.freed)


def _stage_lock(name: str) -> Path:
    return lock_file(_STAGE_FOLDERS[name], name)


def _store_locks() -> tuple[Path, ...]:
    return (_stage_lock("scrape"), _STORE / "lock")


def _checkpoints() -> Iterator[KeptFiles]:
    for run in _entries(_CHECKPOINTS):
        if run.is_dir():
            lock = run / "lock"
            locks = (lock,) if lock.exists() else (_stage_lock("train"),)
            files = tuple(path for path in _files(run) if path not in _names(lock))
            yield KeptFiles("checkpoints", run, _state_of(run, files), files, locks)


def _state_of(run: Path, files: Iterable[Path]) -> str:
    """Describe the progress of a training, by its run file or else by its newest checkpoint."""
    steps = [int(match[1]) for file in files if (match := _CHECKPOINT.fullmatch(file.name))]
    try:
        record = json.loads((run / "run.json").read_text(encoding="utf-8"))
        if record["finished"]:
            return f"finished at step {int(record['step'])}"
    except (OSError, ValueError, LookupError, TypeError):
        return f"at step {max(steps)}" if steps else "without a checkpoint"
    return f"unfinished, at step {max(steps)}" if steps else "unfinished, without a checkpoint"


def _logs() -> KeptFiles:
    gone = [run for run in _entries(_LOGS) if not (_CHECKPOINTS / run.name).exists()]
    files = tuple(file for run in gone for file in _files(run))
    return KeptFiles("logs", _LOGS, KINDS["logs"], files, (_stage_lock("train"),))


def _folder(kind: str, path: Path, locks: tuple[Path, ...]) -> KeptFiles:
    lock_files = {name for lock in locks for name in _names(lock)}
    files = tuple(file for file in _files(path) if file not in lock_files)
    return KeptFiles(kind, path, KINDS[kind], files, locks)


def _originals() -> KeptFiles:
    needed = _needed_originals()
    folder = _STORE / "files"
    files = tuple(file for file in _files(folder) if file.name not in needed)
    about = KINDS["originals"]
    if not _has_raw_set():
        about = f"downloaded files; there is no {_RAW}, so any of them may be needed"
    return KeptFiles("originals", folder, about, files, _store_locks())


def _has_raw_set() -> bool:
    return (_RAW / POSTS_FILE).is_file()


def _needed_originals() -> set[str]:
    """Return the sha256 sums of the files that are in the set."""
    if not _has_raw_set():
        return set()
    path = _RAW / POSTS_FILE
    try:
        with path.open(encoding="utf-8") as lines:
            return {json.loads(line)["sha256"] for line in lines}
    except (ValueError, LookupError, TypeError):
        raise PipelineError(f"{path}: damaged; run pipeline scrape again") from None


def _listing() -> KeptFiles:
    path = _STORE / "listing.sqlite"
    names = [path.with_name(f"{path.name}{ending}") for ending in ("", "-wal", "-shm")]
    files = tuple(name for name in names if name.is_file())
    return KeptFiles("listing", path, KINDS["listing"], files, _store_locks())


def _leftovers() -> KeptFiles:
    settled = time.time() - _LEFTOVER_SECONDS
    files = [
        *(file for folder in _unused_sets() for file in _files(folder)),
        *(file for folder in _FOLDERS for file in _files(folder) if _is_leftover(file, settled)),
    ]
    locks = (*map(_stage_lock, _STAGE_FOLDERS), _STORE / "lock")
    return KeptFiles(
        "leftovers", Path("leftovers"), KINDS["leftovers"], tuple(files), _present(locks)
    )


def _unused_sets() -> tuple[Path, ...]:
    """Return the folders of raw sets that no run needs.

    Where `data/raw` is missing, the old set is the only one: a run was killed between two renames.
    """
    return (_RAW_NEW, _RAW_OLD) if _has_raw_set() else (_RAW_NEW,)


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
    """Return the locks that a process may hold: one without a file is held by none."""
    return tuple(lock for lock in locks if lock.exists())


def _names(lock: Path) -> tuple[Path, Path]:
    """Return the names of a lock's two files."""
    return lock, record_file(lock)


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _files(folder: Path) -> list[Path]:
    """Return every file under `folder`, which may be a link; none where it is no folder."""
    return sorted(Path(root, name) for root, _, names in os.walk(folder) for name in names)


def _unlink(files: Iterable[Path]) -> None:
    try:
        for file in files:
            file.unlink(missing_ok=True)
    except OSError as error:
        raise PipelineError(f"{error.filename}: cannot be removed: {error.strerror}") from None


def _remove_empty_folders(kept: KeptFiles) -> None:
    """Remove folders that are empty now, but none that a link leads to."""
    lock = kept.path / "lock"
    if kept.kind == "checkpoints" and lock in kept.locks:
        _unlink(_names(lock))
    tops = _unused_sets() if kept.kind == "leftovers" else (kept.path,)
    for top in tops:
        for root, _, _ in os.walk(top, topdown=False):
            with suppress(OSError):
                Path(root).rmdir()
