"""What a checkpoint holds: networks and optimisers, the best generator, and the history."""

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.optim import Optimizer

from pipeline.networks.files import architecture_metadata
from pipeline.params import TrainParams
from pipeline.training.best import Best
from pipeline.training.build import differing_params, generator_params
from pipeline.training.checkpoint_checks import (
    RECORDED,
    fits_optimiser,
    same_tensors,
    wrong_record,
)
from pipeline.training.distributed import SINGLE_PROCESS, Group
from pipeline.training.history import History
from pipeline.training.state import State, new_state


@dataclass
class CheckpointedState:
    """A training between two steps."""

    state: State
    best: Best
    history: History = field(default_factory=History)

    def state_dict(self) -> dict[str, Any]:
        """Return everything as tensors and plain values, which load without pickled code."""
        return self.state.state_dict() | self.best.state_dict() | self.history.state_dict()

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned, where `mismatch` returns None for it."""
        for part in (self.state, self.best, self.history):
            part.load_state_dict(saved)


def new_checkpointed_state(
    params: TrainParams, device: torch.device, group: Group = SINGLE_PROCESS
) -> CheckpointedState:
    """Return a training at step 0. Raises what `new_state` raises."""
    state = new_state(params, device, group)
    return CheckpointedState(state, Best(copy.deepcopy(state.ema)))


def mismatch(training: CheckpointedState, checkpoint: Mapping[str, Any]) -> str | None:
    """Return why `training` cannot take over a checkpoint, or None where it can.

    `checkpoint` has the generator's `metadata` and the `state` of a training.
    """
    try:
        metadata, generator = checkpoint["metadata"], training.state.generator
        theirs = generator_params(metadata["architecture"], json.loads(metadata["config"]))
        kind = architecture_metadata(generator)["architecture"]
        ours = generator_params(kind, generator.config)
        if theirs != ours:
            return f"was trained with {differing_params(theirs, ours)}"
        return _state_mismatch(training, checkpoint["state"])
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, RecursionError) as error:
        return f"is no checkpoint of this version of the program ({error!r})"


def _state_mismatch(training: CheckpointedState, saved: Mapping[str, Any]) -> str | None:
    parts = {**training.state.parts(), "best": training.best.generator}
    ours = parts.keys() | RECORDED
    if ours != saved.keys():
        missing, extra = sorted(ours - saved.keys()), sorted(saved.keys() - ours)
        problems = [f"lacks {', '.join(missing)}"] if missing else []
        problems += [f"has {', '.join(extra)}, which this training has not"] if extra else []
        return " and ".join(problems)
    for name, part in parts.items():
        if isinstance(part, Optimizer):
            fits = fits_optimiser(part, saved[name])
        else:
            fits = same_tensors(part.state_dict(), saved[name])
        if not fits:
            return f"has another {name.replace('_', ' ')} than this training"
    wrong = wrong_record(saved)
    return f"is no checkpoint of this version of the program (wrong {wrong})" if wrong else None
