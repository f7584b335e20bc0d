"""Kept runs: one folder per run, named by the key of all that shapes its weights."""

import json
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt

from pipeline.errors import PipelineError, UsageError
from pipeline.files import write_text
from pipeline.locks import hold
from pipeline.training.checkpoints import Checkpoints, step_of
from pipeline.training.run_description import (
    Description,
    DescriptionSchema,
    differences,
    has_same_tensors,
    is_of_this_format,
)

RUN_FILE = "run.json"
LOCK_FILE = "lock"

# Python's functions for files raise `ValueError` for a zero byte.
_PathText = Annotated[str, Field(pattern=r"^[^\x00]*$")]


class RunRecord(BaseModel):
    """The content of `run.json`, whichever version wrote it."""

    model_config = ConfigDict(frozen=True, strict=True)

    description: dict[str, Any]
    finished: bool
    """whether a training ended, after `step` steps"""
    step: NonNegativeInt
    resume: _PathText | None
    """`train.resume` as the params had it"""
    init: _PathText | None = None
    """`train.init` as the params had it"""

    def started_from(self, folder: Path) -> bool:
        """Return whether this run started from a file in another run's `folder`."""
        names = (self.resume, self.init)
        return any(_is_in_run(folder, name) for name in names if name is not None)


@dataclass(frozen=True)
class KeptRun:
    """The run in `folder`, as its `run.json` describes it."""

    folder: Path
    record: RunRecord


def read_record(folder: Path) -> RunRecord | None:
    """Return the record in a run's folder, or None without a `run.json` that can be read.

    The file is untrusted: a description of this version's format is checked.
    """
    try:
        record = RunRecord.model_validate_json((folder / RUN_FILE).read_bytes())
        if is_of_this_format(record.description):
            DescriptionSchema.model_validate(record.description)
    except (OSError, ValueError):
        return None
    return record


def read_runs(root: Path) -> list[KeptRun]:
    """Return the runs kept under `root`, sorted by key."""
    records = [(folder, read_record(folder)) for folder in _folders(root)]
    return [KeptRun(folder, record) for folder, record in records if record is not None]


def record_start(
    folder: Path,
    description: Description,
    steps: int,
    resume: str | None = None,
    init: str | None = None,
) -> None:
    """Write `run.json` at the start of a training of `steps` steps. Raises `OSError`.

    The run stays finished where an earlier training in the folder ended after as many, or more.
    """
    before = read_record(folder)
    ended_after = before.step if before is not None and before.finished else 0
    record = RunRecord(
        description=dict(description),
        finished=ended_after >= steps,
        step=ended_after,
        resume=resume,
        init=init,
    )
    _write(folder, record)


def record_end(checkpoints: Checkpoints, steps: int, needed: Collection[str] = ()) -> list[str]:
    """Write that a training of `steps` steps ended, and remove what is no longer needed.

    Of this run only the last checkpoint stays, and those of a longer training in the same folder.
    Other finished runs are removed, unless a process works in them, one of the files `needed` is
    theirs, or a run that stays started from a file in them. Returns one line per run that was
    removed or could not be. Raises `OSError`, or `PipelineError` where the folder cannot be read.
    """
    folder = checkpoints.folder
    record = read_record(folder)
    if record is not None and all(step_of(path) <= steps for path in checkpoints.paths()):
        _write(folder, record.model_copy(update={"finished": True, "step": steps}))
    checkpoints.keep_newest_only()
    lines = []
    for other in _no_longer_needed(folder, needed):
        try:
            if remove_run(other):
                lines.append(f"{other}: removed; of finished runs the last one is kept")
        except OSError as error:
            lines.append(f"{other}: cannot be removed: {error.strerror}")
    return lines


def _no_longer_needed(current: Path, needed: Collection[str]) -> list[Path]:
    """Return the folders of finished runs that are to be removed.

    A run stays that is `current` or unfinished, that another version of the program wrote, that
    holds one of the files `needed`, or from which a run that stays started.
    """
    runs = read_runs(current.parent)
    staying = [
        run
        for run in runs
        if run.folder == current
        or not run.record.finished
        or not is_of_this_format(run.record.description)
        or any(_is_in_run(run.folder, name) for name in needed)
    ]
    waiting = list(staying)
    while waiting:
        run = waiting.pop()
        sources = [
            other
            for other in runs
            if other not in staying and run.record.started_from(other.folder)
        ]
        staying += sources
        waiting += sources
    return [run.folder for run in runs if run not in staying]


def _is_in_run(folder: Path, name: str) -> bool:
    """Return whether the file `name` is in a run's `folder`.

    The folder's name, a key, decides: relative paths may have had another working folder.
    """
    path = Path(name)
    return folder.name in (*path.parts, *path.resolve().parts)


def remove_run(folder: Path) -> bool:
    """Remove a finished run's folder, unless a process works in it; return whether it is gone."""
    try:
        with hold(folder / LOCK_FILE, "pipeline train"):
            # Before the lock was held, another process may have made the run longer.
            record = read_record(folder)
            if record is None or not record.finished:
                return False
            shutil.rmtree(folder)
    except PipelineError:
        return False
    return True


def nearest_checkpoints(
    root: Path, description: Description, init: Path | None = None
) -> list[str]:
    """Return at most three lines: the checkpoints that differ least, and why they do not fit.

    Folders that cannot be read are left out: a hint must not stop a training. So is `init`, from
    which the training starts.
    """
    found = [_newest_of(folder, description) for folder in _folders(root)]
    others = [one for one in found if one is not None and one.path.resolve() != init]
    nearest = sorted(others, key=_Candidate.distance)[:2]
    lines = [f"{one.path} does not fit: {_first_three(one.reasons)}" for one in nearest]
    usable = [one for one in nearest if one.has_same_tensors]
    if usable:
        which = "the first" if usable[0] is nearest[0] else "the second"
        fate = "; copy it at once, this training removes it at its end"
        lines.append(
            f"to go on from {which} all the same: train.resume={usable[0].path}"
            f"{fate if usable[0].is_finished else ''}"
        )
    return lines


@dataclass(frozen=True)
class _Candidate:
    """The newest checkpoint of another run, and the reasons why it does not fit."""

    path: Path
    is_of_this_format: bool
    has_same_tensors: bool
    is_finished: bool
    """whether its run is: of finished runs the last alone is kept"""
    reasons: Sequence[str]

    def distance(self) -> tuple[bool, int, int, Path]:
        """Return what candidates are sorted by: the nearest is the smallest."""
        return not self.is_of_this_format, len(self.reasons), -step_of(self.path), self.path


def _newest_of(folder: Path, description: Description) -> _Candidate | None:
    """Return the newest checkpoint in a run's folder, or None where none can be read."""
    try:
        paths = Checkpoints(folder).paths()
    except PipelineError:
        return None
    if not paths:
        return None
    record = read_record(folder)
    theirs = {} if record is None else record.description
    return _Candidate(
        paths[0],
        is_of_this_format(theirs),
        has_same_tensors(theirs, description),
        record is not None and record.finished,
        differences(theirs, description),
    )


def recorded_resume_sha256(root: Path, resume: str) -> str | None:
    """Return the SHA-256 of a `train.resume` file that was removed since, as its runs recorded it.

    Raises `UsageError` where they recorded different files.
    """
    recorded = {
        sha256
        for record in (run.record for run in read_runs(root))
        if record.resume == resume and is_of_this_format(record.description)
        if (sha256 := record.description["inputs"].get("resume_sha256")) is not None
    }
    if len(recorded) > 1:
        raise UsageError(
            f"train.resume: {resume} is gone, and runs of {len(recorded)} files of that name are "
            "kept; name another"
        )
    return next(iter(recorded), None)


def _folders(root: Path) -> list[Path]:
    try:
        return sorted(path for path in root.iterdir() if path.is_dir())
    except OSError:
        return []


def _write(folder: Path, record: RunRecord) -> None:
    text = json.dumps(record.model_dump(), indent=2, sort_keys=True)
    write_text(folder / RUN_FILE, f"{text}\n")


def _first_three(reasons: Sequence[str]) -> str:
    more = f"; and {len(reasons) - 3} more" if len(reasons) > 3 else ""
    return "; ".join(reasons[:3]) + more
