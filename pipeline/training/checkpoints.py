"""Checkpoints of one run: its newest, and the one before to fall back on."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

from pipeline.errors import PipelineError
from pipeline.files import atomic_path
from pipeline.networks.files import CHECKPOINT_KIND
from pipeline.networks.tensor_files import (
    DamagedArchiveError,
    error_line,
    exceeds_storage,
    load_archive,
    printable_line,
)
from pipeline.training.checkpointed_state import CheckpointedState, mismatch
from pipeline.wording import counted

# Raised whenever the layout of the file changes. Code that changes the weights is in the run's key.
CHECKPOINT_FORMAT = 3
# `pipeline/kept_work.py` has a twin, because `pipeline clean` must not import torch.
CHECKPOINT_NAME = re.compile(r"step-(\d{9})\.pt")
_NO_CHECKPOINT = "is no checkpoint of this version of the program"


class OtherContentError(PipelineError):
    """A whole file of other content than a checkpoint; the text says so, without the file."""


@dataclass
class Checkpoints:
    """The checkpoints in `folder`, as one run reads and writes them."""

    folder: Path
    newest: Path | None = None
    """the last one that this run wrote or went on from"""
    _unusable: set[Path] = field(default_factory=set)

    def save(self, training: CheckpointedState, metadata: Mapping[str, str]) -> None:
        """Write `training`; keep it and the checkpoint before.

        `metadata` is that of a file of the averaged generator. Raises `PipelineError` where the
        checkpoint cannot be written; those before it then stay.
        """
        path = self.folder / f"step-{training.state.step:09}.pt"
        content = {
            "kind": CHECKPOINT_KIND,
            "format": CHECKPOINT_FORMAT,
            "metadata": dict(metadata),
            "state": training.state_dict(),
        }
        try:
            # torch.save hides the system's error unless it writes to an open file.
            with atomic_path(path) as temporary, temporary.open("wb") as file:
                torch.save(content, file)
        except (OSError, RuntimeError) as error:
            raise PipelineError(f"{path}: cannot be written: {_system_error(error)}") from None
        if self.newest is not None:
            self._remove_before(step_of(self.newest))
        self.newest = path

    def keep_newest_only(self) -> None:
        """Remove checkpoints before the newest; those of a longer run stay. Raises `OSError`."""
        if self.newest is not None:
            self._remove_before(step_of(self.newest))

    def restore_newest(self, training: CheckpointedState, steps: int) -> list[str]:
        """Restore `training` from the newest usable checkpoint of at most `steps` steps.

        Returns a line for each that is not used, and why. A damaged one is renamed, so that it no
        longer counts; none is ever deleted. Raises `PipelineError` where one cannot be read now,
        which does not mean that the file is wrong.
        """
        messages: list[str] = []
        checkpoints = self.paths()
        for path in checkpoints:
            if step_of(path) > steps:
                continue
            problem = self._restore_or_set_aside(path, training)
            if problem is None:
                self.newest = path
                return messages
            messages.append(f"{path}: {problem}")
        if messages:
            messages.append(f"{self.folder}: no checkpoint is usable: training starts at step 0")
        elif checkpoints:
            messages.append(
                f"{checkpoints[-1]} is the first checkpoint, later than the "
                f"{counted(steps, 'step')} of this run: training starts at step 0, and "
                "the checkpoint is kept"
            )
        return messages

    def newest_step(self, steps: int) -> int | None:
        """Return the step of the newest checkpoint of at most `steps` steps, or None without one.

        Raises `PipelineError`.
        """
        return next((step for step in map(step_of, self.paths()) if step <= steps), None)

    def paths(self) -> list[Path]:
        """Return the checkpoints, newest first. Raises `PipelineError`."""
        try:
            # Path.glob would take a folder that cannot be read for an empty one.
            paths = sorted(self.folder.iterdir(), reverse=True)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _unreadable(self.folder, error) from None
        return [path for path in paths if CHECKPOINT_NAME.fullmatch(path.name)]

    def _restore_or_set_aside(self, path: Path, training: CheckpointedState) -> str | None:
        """Restore `training` from one file, or return why not; rename a damaged file."""
        try:
            try:
                problem = load_checkpoint(path, training)
            except OtherContentError as other:
                problem = str(other)
            except DamagedArchiveError as damage:
                path.rename(path.with_name(f"{path.name}.damaged"))
                return f"damaged, renamed to {path.name}.damaged ({damage})"
        except (OSError, MemoryError, RuntimeError) as error:
            raise _unreadable(path, error) from None
        if problem is None:
            return None
        self._unusable.add(path)
        return f"not used: it {problem}"

    def _remove_before(self, step: int) -> None:
        for path in self.paths():
            if step_of(path) < step and path not in self._unusable:
                path.unlink(missing_ok=True)


def load_checkpoint(path: Path, training: CheckpointedState) -> str | None:
    """Restore `training` from a checkpoint, or return why that cannot be.

    The file is untrusted: it takes no more memory than it has bytes. Raises `OtherContentError`,
    `DamagedArchiveError`, and the machine's own faults: `OSError`, `MemoryError`, `RuntimeError`.
    """
    try:
        # Networks and optimisers copy their tensors to their device themselves; the history stays
        # in the machine's memory.
        content = load_archive(path)
    except (DamagedArchiveError, OSError, MemoryError, RuntimeError):
        raise
    except Exception as error:
        # The file is undamaged, so it was written like this.
        text = f"is no checkpoint of this program ({error_line(error)})"
        raise OtherContentError(text) from None
    if not isinstance(content, dict) or content.get("kind") != CHECKPOINT_KIND:
        raise OtherContentError(_NO_CHECKPOINT)
    file_format = content.get("format")
    if type(file_format) is not int:
        raise OtherContentError(_NO_CHECKPOINT)
    if file_format != CHECKPOINT_FORMAT:
        return f"has format {file_format}, and this version reads {CHECKPOINT_FORMAT}"
    if exceeds_storage(content):
        raise OtherContentError("is no checkpoint of this program (its tensors share their values)")
    problem = mismatch(training, content)
    if problem is not None:
        # Names in it are the file's.
        return printable_line(problem)
    training.load_state_dict(content["state"])
    return None


def step_of(path: Path) -> int:
    """Return the step after which a checkpoint was written, by its name."""
    match = CHECKPOINT_NAME.fullmatch(path.name)
    assert match is not None
    return int(match[1])


def _unreadable(path: Path, error: BaseException) -> PipelineError:
    return PipelineError(
        f"{path}: cannot be read now ({error_line(error)}); nothing was removed: run again, or "
        "move it away to train without it"
    )


def _system_error(error: BaseException) -> str:
    """Return the operating system's reason behind what torch raised, or else torch's own."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__context__
    return error_line(error)
