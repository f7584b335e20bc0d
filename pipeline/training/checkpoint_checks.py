"""Check the content of a checkpoint before any of it is loaded: the file is untrusted."""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    InstanceOf,
    NonNegativeInt,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from torch import Tensor
from torch.optim import Adam, Optimizer

from pipeline.training.curve_tables import are_tensors_of_rows
from pipeline.training.muon import Muon

# The name of a checkpoint has nine digits for it.
MAX_STEP = 999_999_999
# DVCLive names a file after each.
FIGURE = re.compile(r"(train|val)/[a-z0-9_]+")
MOMENTS: dict[type[Optimizer], tuple[str, ...]] = {
    Adam: ("exp_avg", "exp_avg_sq"),
    Muon: ("momentum",),
}


class SavedCurve(BaseModel):
    """Rows of figures as `curve_tables.to_tensors` makes them."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    names: list[str]
    steps: InstanceOf[Tensor]
    values: InstanceOf[Tensor]
    present: InstanceOf[Tensor]

    @model_validator(mode="after")
    def _of_rows(self) -> "SavedCurve":
        _require(all(map(FIGURE.fullmatch, self.names)))
        _require(len(set(self.names)) == len(self.names))
        _require(are_tensors_of_rows(self.steps, self.values, self.present, len(self.names)))
        return self


class Recorded(BaseModel):
    """What a checkpoint holds beside networks and optimisers."""

    model_config = ConfigDict(frozen=True, strict=True)

    step: int = Field(ge=0, le=MAX_STEP)
    skipped: NonNegativeInt
    best_step: NonNegativeInt
    best_score: InstanceOf[float]
    best_measure: str
    devices: list[str]
    curve: SavedCurve
    samples: list[InstanceOf[Tensor]]

    @field_validator("skipped", "best_step")
    @classmethod
    def _within_steps(cls, value: int, info: ValidationInfo) -> int:
        _require(value <= info.data.get("step", 0))
        return value

    @field_validator("best_score")
    @classmethod
    def _comparable(cls, score: float) -> float:
        _require(not math.isnan(score))
        return score

    @field_validator("devices")
    @classmethod
    def _printable(cls, devices: list[str]) -> list[str]:
        _require(all(map(str.isprintable, devices)))
        return devices

    @field_validator("curve")
    @classmethod
    def _of_taken_steps(cls, curve: SavedCurve, info: ValidationInfo) -> SavedCurve:
        last = info.data.get("step", 0)
        _require(bool(((curve.steps >= 0) & (curve.steps <= last)).all()))
        return curve

    @field_validator("samples")
    @classmethod
    def _strips(cls, samples: list[Tensor]) -> list[Tensor]:
        _require(all(map(_is_strip, samples)))
        return samples


RECORDED = frozenset(Recorded.model_fields)
"""The keys of `Recorded`."""


def wrong_record(saved: Mapping[str, Any]) -> str | None:
    """Return the first key of `RECORDED` whose value no training writes, or None."""
    try:
        Recorded.model_validate({name: saved[name] for name in RECORDED})
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        return str(problems[0]["loc"][0])
    return None


def same_tensors(ours: Mapping[str, Tensor], saved: Any) -> bool:
    """Return whether `saved` has tensors of the same names, shapes and types as `ours`."""
    return (
        isinstance(saved, Mapping)
        and saved.keys() == ours.keys()
        and all(_is_tensor(saved[name], value.shape, value.dtype) for name, value in ours.items())
    )


def fits_optimiser(optimiser: Optimizer, saved: Any) -> bool:
    """Return whether `saved` has the weights and groups of `optimiser`, and moments that fit them.

    A weight has moments from its first step on. PyTorch compares no shapes: its fused Adam reads
    and writes past the end of moments that are smaller than their weight.
    """
    if not isinstance(saved, Mapping) or saved.keys() != {"state", "param_groups"}:
        return False
    groups = optimiser.state_dict()["param_groups"]
    if not isinstance(saved["param_groups"], list) or not isinstance(saved["state"], Mapping):
        return False
    if not _same_indices([group["params"] for group in groups], saved["param_groups"]):
        return False
    parameters = dict(indexed_parameters(optimiser))
    return all(
        type(index) is int
        and index in parameters
        and _has_moments(moments, parameters[index], optimiser)
        for index, moments in saved["state"].items()
    )


def indexed_parameters(optimiser: Optimizer) -> Iterator[tuple[int, Tensor]]:
    """Yield each parameter with its index in `optimiser.state_dict()`."""
    for saved_group, group in zip(
        optimiser.state_dict()["param_groups"], optimiser.param_groups, strict=True
    ):
        yield from zip(saved_group["params"], group["params"], strict=True)


def _same_indices(ours: list[list[int]], groups: list[Any]) -> bool:
    theirs = [group.get("params") if isinstance(group, Mapping) else None for group in groups]
    # Other types are not compared: of two tensors that raises an error.
    return (
        all(
            isinstance(indices, list) and all(type(index) is int for index in indices)
            for indices in theirs
        )
        and theirs == ours
    )


def _has_moments(moments: Any, weight: Tensor, optimiser: Optimizer) -> bool:
    names = {*MOMENTS[type(optimiser)]} | ({"step"} if isinstance(optimiser, Adam) else set())
    if not isinstance(moments, Mapping) or moments.keys() != names:
        return False
    tensors = (moments[name] for name in MOMENTS[type(optimiser)])
    return all(_is_tensor(moment, weight.shape, weight.dtype) for moment in tensors) and (
        "step" not in names or _is_adam_step(moments["step"])
    )


def _is_adam_step(value: Any) -> bool:
    return _is_tensor(value, torch.Size(), torch.float32) and 0 <= value.item() <= MAX_STEP


def _is_tensor(value: Any, shape: torch.Size, dtype: torch.dtype) -> bool:
    return isinstance(value, Tensor) and value.shape == shape and value.dtype == dtype


def _require(fits: bool) -> None:
    if not fits:
        raise ValueError("no training writes this")


def _is_strip(strip: Tensor) -> bool:
    is_picture = strip.dtype == torch.uint8 and strip.ndim == 3
    return is_picture and strip.shape[0] == 3 and strip.numel() > 0
