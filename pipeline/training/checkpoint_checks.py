"""Check the content of a checkpoint before any of it is loaded: the file may be anyone's."""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer

from pipeline.training.muon import Muon

# The name of a checkpoint has nine digits for it.
MAX_STEP = 999_999_999
# DVCLive names a file after each.
FIGURE = re.compile(r"(train|val)/[a-z0-9_]+")
RECORDED = frozenset(
    {
        "step",
        "skipped",
        "best_step",
        "best_score",
        "best_measure",
        "devices",
        "curve",
        "samples",
    }
)
"""What a checkpoint holds beside networks and optimisers."""
MOMENTS: dict[type[Optimizer], tuple[str, ...]] = {
    Adam: ("exp_avg", "exp_avg_sq"),
    Muon: ("momentum",),
}


def wrong_record(saved: Mapping[str, Any]) -> str | None:
    """Return the name of a value of `RECORDED` that no training writes, or None."""
    if not _is_count(saved["step"], MAX_STEP):
        return "step"
    step = saved["step"]
    checks: dict[str, Callable[[Any], bool]] = {
        "skipped": lambda value: _is_count(value, step),
        "best_step": lambda value: _is_count(value, step),
        "best_score": lambda value: type(value) is float and not math.isnan(value),
        "best_measure": lambda value: type(value) is str,
        "devices": _are_devices,
        "curve": lambda value: type(value) is list and all(_is_row(row, step) for row in value),
        "samples": lambda value: type(value) is list and all(map(_is_strip, value)),
    }
    return next((name for name, fits in checks.items() if not fits(saved[name])), None)


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
    if not _same_numbers([group["params"] for group in groups], saved["param_groups"]):
        return False
    weights = dict(numbered_weights(optimiser))
    return all(
        type(number) is int
        and number in weights
        and _has_moments(moments, weights[number], optimiser)
        for number, moments in saved["state"].items()
    )


def numbered_weights(optimiser: Optimizer) -> Iterator[tuple[int, Tensor]]:
    """Yield each weight with its number in `optimiser.state_dict()`."""
    for saved_group, group in zip(
        optimiser.state_dict()["param_groups"], optimiser.param_groups, strict=True
    ):
        yield from zip(saved_group["params"], group["params"], strict=True)


def _same_numbers(ours: list[list[int]], groups: list[Any]) -> bool:
    theirs = [group.get("params") if isinstance(group, Mapping) else None for group in groups]
    # Other types are not compared: of two tensors that raises an error.
    return (
        all(
            isinstance(numbers, list) and all(type(one) is int for one in numbers)
            for numbers in theirs
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


def _is_count(value: Any, largest: int) -> bool:
    return type(value) is int and 0 <= value <= largest


def _are_devices(value: Any) -> bool:
    return type(value) is list and all(type(name) is str and name.isprintable() for name in value)


def _is_row(row: Any, step: int) -> bool:
    if type(row) is not dict or not _is_count(row.get("step"), step):
        return False
    return all(
        type(name) is str and FIGURE.fullmatch(name) is not None and type(value) is float
        for name, value in row.items()
        if name != "step"
    )


def _is_strip(value: Any) -> bool:
    return (
        isinstance(value, Tensor)
        and value.dtype == torch.uint8
        and value.ndim == 3
        and value.shape[0] == 3
        and value.numel() > 0
    )
