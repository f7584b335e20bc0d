"""Curves as tensors: what a checkpoint holds of them, however long the training."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


def to_tensors(rows: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Return rows of `step` and figures as names and tensors.

    `names` has N figures in the order in which rows first have them; `steps` is `(R,) int64`,
    `values` `(R, N) float64`, and `present` `(R, N) bool`: which figures a row has.
    """
    names = list(dict.fromkeys(name for row in rows for name in row if name != "step"))
    values = [[float(row.get(name, 0.0)) for name in names] for row in rows]
    present = [[name in row for name in names] for row in rows]
    shape = (len(rows), len(names))
    return {
        "names": names,
        "steps": torch.tensor([int(row["step"]) for row in rows], dtype=torch.int64),
        "values": torch.tensor(values, dtype=torch.float64).reshape(shape),
        "present": torch.tensor(present, dtype=torch.bool).reshape(shape),
    }


def to_rows(table: Mapping[str, Any]) -> list[dict[str, float]]:
    """Return the rows of which `to_tensors` made `table`."""
    names, steps = table["names"], table["steps"].tolist()
    values, present = table["values"].tolist(), table["present"].tolist()
    return [
        {"step": step}
        | {name: value for name, value, is_there in zip(names, *row, strict=True) if is_there}
        for step, *row in zip(steps, values, present, strict=True)
    ]


def are_tensors_of_rows(steps: Tensor, values: Tensor, present: Tensor, figures: int) -> bool:
    """Return whether the tensors have the types and shapes of `to_tensors` for so many figures."""
    rows = len(steps) if steps.ndim == 1 else -1
    return (steps.dtype, values.dtype, present.dtype) == (
        torch.int64,
        torch.float64,
        torch.bool,
    ) and values.shape == present.shape == (rows, figures)
