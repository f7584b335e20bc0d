"""Checkpoints: under a fingerprint of all that shapes the result, whole, one to fall back on."""

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

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
BROKEN = (OSError, RuntimeError, KeyError, ValueError, TypeError, EOFError, UnpicklingError)


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

    def newest(self, device: torch.device) -> tuple[dict[str, Any] | None, list[str]]:
        """The state of the newest checkpoint that is whole, or None if there is none.

        Also returns a line for each that is damaged; it is removed.
        """
        problems: list[str] = []
        for path in self._newest_first():
            try:
                _refuse_changed_bytes(path)
                return torch.load(path, map_location=device, weights_only=True), problems
            except (*BROKEN, zipfile.BadZipFile) as error:
                reason = str(error).strip().splitlines()[:1]
                problems.append(f"{path}: damaged, the one before is taken ({''.join(reason)})")
                path.unlink(missing_ok=True)
        return None, problems

    def _newest_first(self) -> list[Path]:
        named = re.compile(r"step-\d{9}\.pt")
        return sorted(
            (p for p in self.folder.glob("*.pt") if named.fullmatch(p.name)), reverse=True
        )


def _refuse_changed_bytes(path: Path) -> None:
    """torch.load takes a file's tensors as they come, and leaves its checksums unread."""
    with zipfile.ZipFile(path) as archive:
        spoilt = archive.testzip()
    if spoilt:
        raise zipfile.BadZipFile(f"wrong checksum of {spoilt}")


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
