"""Comparison of a runtime's results with PyTorch's, before a file is written."""

import copy
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from pipeline.errors import PipelineError, UsageError
from pipeline.exported_files import Precision
from pipeline.networks.generators.base import Generator

# Largest accepted difference, relative to the largest value, which counts as 1 (white) at least.
# Rounding of sums in fp32 depends on their order and is proportional to the values: on noise, the
# worst of the shipped models differs by 3e-6 of its largest value, 3.7, and PyTorch's own result is
# as far from one in fp64. The bound leaves room for deeper networks and other processors, and is a
# fortieth of a level of 8 bits. In fp16 weights alone are rounded by up to 5e-4; the bound is two
# and a half levels.
TOLERANCES: dict[Precision, float] = {"fp32": 1e-4, "fp16": 1e-2}
TRACED_SHAPE = (1, 3, 24, 20)
OTHER_SHAPE = (1, 3, 9, 31)


def check_results(
    path: Path,
    generator: Generator,
    run: Callable[[Tensor], Tensor],
    runtime: str,
    precision: Precision,
    shapes: Sequence[tuple[int, ...]] = (TRACED_SHAPE, OTHER_SHAPE),
) -> float:
    """Return the largest difference between `run`, of `runtime`, and `generator` in fp32.

    Both get noise of `shapes`, `(N, 3, h, w)`. Raises `PipelineError` that says that `path` is not
    written, where the difference is larger than rounding explains.
    """
    network = copy.deepcopy(generator).eval().float().cpu()
    differences, values = [], []
    for shape in shapes:
        lr = torch.rand(shape, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            expected = network(lr)
        differences.append((run(lr) - expected).abs().max())
        values.append(expected.abs().max())
    difference, largest = (torch.stack(each).max().item() for each in (differences, values))
    if not difference <= TOLERANCES[precision] * max(largest, 1):
        raise PipelineError(
            f"{path}: not written: {runtime}'s results, of up to {largest:.1g}, differ "
            f"from PyTorch's by {difference:.1e}"
        )
    return difference


def not_installed(error: ImportError, extra: str) -> UsageError:
    """Return the error for a missing package of an optional dependency."""
    return UsageError(
        f"export: {error.name} is not installed; pip install 'anime-sr-pipeline[{extra}]'"
    )
