"""Kept runs: a folder each, under a key of all that shapes the weights."""

import hashlib
import json
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt

from pipeline.errors import PipelineError, UsageError
from pipeline.files import write_text
from pipeline.locks import hold
from pipeline.params import TrainParams
from pipeline.training.checkpoints import FORMAT, Checkpoints, step_of
from pipeline.training.state import OWN_PARAMS
from pipeline.training.step import average_decay, pretrain_steps

RUN_FILE = "run.json"
LOCK_FILE = "lock"

# When and where training computes, what it reports, and what `describe` resolves.
NOT_IN_KEY = {
    "checkpoint_seconds",
    "device",
    "epochs",
    "init",
    "log_every",
    "pretrain_steps",
    "processes",
    "resume",
    "steps",
    "validate_every",
    "validation_images",
    "vgg",
}
OF_THE_ADVERSARY = {
    "content_layers",
    "content_weight",
    "discriminator",
    "pixel_weight",
    "relativistic",
    "warmup_steps",
}
OF_ONE_GENERATOR = {name for names in OWN_PARAMS.values() for name in names}
INPUTS = {
    "manifest_sha256": "the manifest is another",
    "init_sha256": "train.init is another file",
    "resume_sha256": "train.resume is another file",
    "vgg_sha256": "VGG16 has other weights",
}

Description = Mapping[str, Any]
# Python's functions for files raise `ValueError` for a zero byte.
_PathText = Annotated[str, Field(pattern=r"^[^\x00]*$")]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True)


class _RunFile(_Strict):
    """The shape of `run.json`, whichever version wrote it."""

    description: dict[str, Any]
    finished: bool
    step: NonNegativeInt
    resume: _PathText | None
    init: _PathText | None = None


class _Described(_Strict):
    """The shape of a description of this version's format."""

    params: dict[str, Any]
    inputs: dict[str, str | None]
    code: dict[str, str]
    versions: dict[str, str]


@dataclass(frozen=True)
class Run:
    """What `run.json` says of the run in `folder`."""

    folder: Path
    description: Description
    finished: bool
    """whether a training ended here, after `step` steps"""
    step: int
    resume: str | None
    """`train.resume` as the params had it"""
    init: str | None = None
    """`train.init` as the params had it"""

    def names(self, folder: Path) -> bool:
        """Return whether this run began from a file in another run's `folder`."""
        return any(_lies_in(folder, name) for name in (self.resume, self.init) if name is not None)


def describe(
    params: TrainParams,
    config: Mapping[str, object],
    steps: int,
    precision: str,
    inputs: Mapping[str, str | None],
    code: Mapping[str, str],
    versions: Mapping[str, str],
) -> Description:
    """Return all that shapes the weights, as plain values.

    Params are resolved: `config` is the generator's, `precision` the one that is computed in.
    `steps` counts only where weights depend on how many are to come.
    """
    shaping = params.model_dump(mode="json", exclude=NOT_IN_KEY | OF_ONE_GENERATOR)
    shaping |= dict(config) | {"ema": average_decay(params), "precision": precision}
    if params.adv_weight > 0:
        shaping["pretrain_steps"] = pretrain_steps(params, steps)
    else:
        shaping = {name: v for name, v in shaping.items() if name not in OF_THE_ADVERSARY}
    if params.lr_schedule != "constant":
        shaping["steps"] = steps
    return {
        "format": FORMAT,
        "params": shaping,
        "inputs": dict(inputs),
        "code": dict(code),
        "versions": dict(versions),
    }


def key_of(description: Description) -> str:
    """Return 16 hex digits that differ wherever two runs may not train the same weights."""
    text = json.dumps(description, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def differences(theirs: Description, ours: Description) -> list[str]:
    """Return what keeps a run of `theirs` from being one of `ours`, an entry each."""
    if not _is_of_this_format(theirs):
        return ["another version of the program wrote it"]
    reasons = [
        f"train.{name} {_shown(value)}, here {ours['params'][name]}"
        for name, value in theirs["params"].items()
        if name in ours["params"] and value != ours["params"][name]
    ]
    inputs = theirs["inputs"]
    if None in (inputs.get("vgg_sha256"), ours["inputs"]["vgg_sha256"]):
        # One of the two has no discriminator, which train.adv_weight says already.
        inputs = {**inputs, "vgg_sha256": ours["inputs"]["vgg_sha256"]}
    reasons += [INPUTS[name] for name in INPUTS if inputs.get(name) != ours["inputs"][name]]
    changed = _differing(theirs["code"], ours["code"])
    if changed:
        more = f" and {len(changed) - 2} more" if len(changed) > 2 else ""
        reasons.append(f"code: {', '.join(map(_shown, changed[:2]))}{more} changed")
    reasons += [
        f"{_shown(name)} {_shown(theirs['versions'].get(name))}, here {ours['versions'].get(name)}"
        for name in _differing(theirs["versions"], ours["versions"])
    ]
    return reasons


def read_run(folder: Path) -> Run | None:
    """Return the run of which `folder` is, or None where no readable `run.json` says it.

    The file may be anyone's: where the description is of this version's format, it has its shape.
    """
    try:
        content = _RunFile.model_validate_json((folder / RUN_FILE).read_bytes())
        if _is_of_this_format(content.description):
            _Described.model_validate(content.description)
    except (OSError, ValueError):
        return None
    return Run(
        folder,
        content.description,
        content.finished,
        content.step,
        content.resume,
        content.init,
    )


def read_runs(root: Path) -> list[Run]:
    """Return every run that is kept under `root`, by its key."""
    return [run for run in map(read_run, _folders(root)) if run is not None]


def begin(
    folder: Path,
    description: Description,
    steps: int,
    resume: str | None = None,
    init: str | None = None,
) -> None:
    """Write `run.json` for a training of `steps` steps. Raises `OSError`."""
    before = read_run(folder)
    step = before.step if before is not None and before.finished else 0
    _write(Run(folder, description, step >= steps, step, resume, init))


def finish(checkpoints: Checkpoints, steps: int, needed: Collection[str] = ()) -> list[str]:
    """Note that a training of `steps` steps ended, and remove what no longer is needed.

    Of this run only the last checkpoint stays, and those of a longer training in the same folder.
    Other runs that are finished go, unless a process works in them, one of the files `needed` is
    theirs, or a run that stays began from a file in them. Returns a line for each that was removed
    or could not be. Raises `OSError`.
    """
    folder = checkpoints.folder
    run = read_run(folder)
    if run is not None and all(step_of(path) <= steps for path in checkpoints.paths()):
        _write(replace(run, finished=True, step=steps))
    checkpoints.keep_newest_only()
    lines = []
    for other in _no_longer_needed(folder, needed):
        try:
            if remove(other):
                lines.append(f"{other}: removed; of finished runs the last one is kept")
        except OSError as error:
            lines.append(f"{other}: cannot be removed: {error.strerror}")
    return lines


def _no_longer_needed(current: Path, needed: Collection[str]) -> list[Path]:
    """Return the folders of finished runs that do not stay.

    A run stays that is `current` or unfinished, that another version of the program wrote, that
    holds one of the files `needed`, or from which such a run began.
    """
    runs = read_runs(current.parent)
    staying = [
        run
        for run in runs
        if run.folder == current
        or not run.finished
        or not _is_of_this_format(run.description)
        or any(_lies_in(run.folder, name) for name in needed)
    ]
    waiting = list(staying)
    while waiting:
        run = waiting.pop()
        named = [other for other in runs if other not in staying and run.names(other.folder)]
        staying += named
        waiting += named
    return [run.folder for run in runs if run not in staying]


def _is_of_this_format(description: Description) -> bool:
    return type(description.get("format")) is int and description["format"] == FORMAT


def _lies_in(folder: Path, name: str) -> bool:
    """Return whether the file `name` is a run's, whose folder is `folder`.

    By the folder's name, which is a key: relative paths may have had another working folder.
    """
    path = Path(name)
    return folder.name in (*path.parts, *path.resolve().parts)


def remove(folder: Path) -> bool:
    """Remove a finished run's folder, unless a process works in it; return whether it is gone."""
    try:
        with hold(folder / LOCK_FILE, "pipeline train"):
            # Until the lock was held, another process may have made the run longer.
            run = read_run(folder)
            if run is None or not run.finished:
                return False
            shutil.rmtree(folder)
    except PipelineError:
        return False
    return True


def others(root: Path, description: Description) -> list[str]:
    """Return at most three lines on which checkpoints exist and why they do not fit."""
    near: list[tuple[bool, list[str], Path]] = []
    for folder in _folders(root):
        newest = next(iter(Checkpoints(folder).paths()), None)
        if newest is not None:
            run = read_run(folder)
            theirs = {} if run is None else run.description
            readable = _is_of_this_format(theirs)
            near.append((readable, differences(theirs, description), newest))
    near.sort(key=lambda one: (not one[0], len(one[1]), -step_of(one[2]), one[2]))
    lines = [f"{path} does not fit: {_joined(reasons)}" for _, reasons, path in near[:2]]
    if near and near[0][0]:
        lines.append(f"to go on from the first all the same: train.resume={near[0][2]}")
    return lines


def recorded_resume_sha256(root: Path, resume: str) -> str | None:
    """Return the SHA-256 of a `train.resume` file that is gone since, as its runs recorded it.

    Raises `UsageError` where they recorded different files.
    """
    recorded = {
        sha256
        for run in read_runs(root)
        if run.resume == resume and _is_of_this_format(run.description)
        if (sha256 := run.description["inputs"].get("resume_sha256")) is not None
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


def _write(run: Run) -> None:
    content = {
        "finished": run.finished,
        "step": run.step,
        "resume": run.resume,
        "init": run.init,
        "description": run.description,
    }
    write_text(run.folder / RUN_FILE, json.dumps(content, indent=2, sort_keys=True) + "\n")


def _differing(theirs: Mapping[str, str], ours: Mapping[str, str]) -> list[str]:
    return sorted(
        name for name in theirs.keys() | ours.keys() if theirs.get(name) != ours.get(name)
    )


def _shown(value: object) -> str:
    """Return a value of anyone's file as text that cannot break a line."""
    text = str(value)
    return text if text.isprintable() else repr(text)


def _joined(reasons: Sequence[str]) -> str:
    more = f"; and {len(reasons) - 3} more" if len(reasons) > 3 else ""
    return "; ".join(reasons[:3]) + more
