"""Checkpoints: under a fingerprint of all that shapes the result, whole, one to fall back on."""

import errno
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pipeline.errors import PipelineError
from pipeline.files import atomic_path
from pipeline.fingerprints import code_of, combined, training_versions
from pipeline.params import TrainParams
from pipeline.training.state import State

# Of the file's layout; what its weights come from is in the fingerprint.
FORMAT = 2
CODE = "pipeline.training.trainer"
KEPT = 2
# These change when and where training computes, not what it is to compute.
SHAPELESS = {"device", "processes", "checkpoint_seconds"}


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one experiment, in `folder`."""

    folder: Path

    def save(self, state: State) -> None:
        """Write the state after `state.step`; keep the newest two."""
        path = self.folder / f"step-{state.step:09}.pt"
        with atomic_path(path) as temporary:
            torch.save(state.state_dict(), temporary)
        for old in self._newest_first()[KEPT:]:
            old.unlink()

    def newest(self) -> tuple[dict[str, Any] | None, list[str]]:
        """The state of the newest checkpoint that is whole, on the CPU, or None if there is none.

        Also returns a line for each that is damaged; it is renamed, so that it no longer counts.
        Raises `PipelineError` where one cannot be read now, which says nothing against the file.
        """
        problems: list[str] = []
        path = self.folder
        try:
            for path in self._newest_first():
                damage = _damage(path)
                if damage is None:
                    # Networks and optimisers move what they take over to their device themselves;
                    # what is recorded lies in the machine's memory.
                    return torch.load(path, map_location="cpu", weights_only=True), problems
                path.rename(path.with_name(f"{path.name}.damaged"))
                problems.append(f"{path}: damaged, the one before is taken ({damage})")
        except (OSError, MemoryError, RuntimeError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise PipelineError(
                f"{path}: cannot be read now ({reason}); nothing was removed: run again"
            ) from None
        return None, problems

    def _newest_first(self) -> list[Path]:
        named = re.compile(r"step-\d{9}\.pt")
        try:
            # Path.glob would take a folder that cannot be read for an empty one.
            paths = sorted(self.folder.iterdir(), reverse=True)
        except FileNotFoundError:
            return []
        return [path for path in paths if named.fullmatch(path.name)]


def _damage(path: Path) -> str | None:
    """Return what is wrong with a checkpoint's bytes, or None where they are as they were written.

    torch.load leaves a file's checksums unread. Raises `OSError` and `MemoryError`, the machine's
    own faults.
    """
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            spoilt = archive.testzip()
    except MemoryError:
        raise
    except Exception as error:
        # Changed bytes may send zipfile to a place before the file's start, or make it raise almost
        # anything; whatever else it raises follows from the bytes alone.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        return " ".join(str(error).split()) or type(error).__name__
    return f"wrong checksum of {spoilt}" if spoilt else None


def fingerprint(params: TrainParams, manifest_sha256: str, init_sha256: str = "") -> str:
    """16 hex digits that differ wherever two runs would not train the same generator.

    `init_sha256` is of the file that `params.init` names.
    """
    shaping = params.model_dump(mode="json", exclude=SHAPELESS)
    return combined(
        {
            "format": FORMAT,
            "manifest": manifest_sha256,
            "init": init_sha256,
            "params": shaping,
            "code": code_of(CODE),
            "versions": training_versions(),
        }
    )
