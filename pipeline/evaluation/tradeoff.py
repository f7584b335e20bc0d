"""One perception-distortion plane of many experiments: what a param trades for what."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.errors import UsageError
from pipeline.evaluation.interpolation import FILTERS, UNSEEN
from pipeline.evaluation.methods import MODEL
from pipeline.evaluation.plane import Plane, Point


@dataclass(frozen=True)
class Experiment:
    """A finished run: its name, its params and the figures of its `metrics.json`."""

    name: str
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    """`METHOD.METRIC` → value"""


def tradeoff(experiments: Sequence[Experiment], by: str | None = None) -> Plane:
    """A point for the trained generator of each experiment, and interpolation beside them.

    Points are called after the param `by`, and curves join, in its order, those that differ in
    nothing else; left out, it is the only param that differs. Where there is none, points are
    called after all params that differ. Experiments with the same params and figures are one point.
    Raises `UsageError` where `by` is given and is no number in every experiment.
    """
    different = _different(experiments)
    if by is None:
        by = next((name for name in different if _are_numbers(name, experiments)), None)
        by = by if len(different) == 1 else None
    elif not _are_numbers(by, experiments):
        raise UsageError(f"--by: {by} is no number in all experiments")
    points: dict[str, Point] = {}
    groups: dict[str, dict[str, float]] = defaultdict(dict)
    for one in experiments:
        name = _called(one, different if by is None else [by])
        if name in points and points[name] != _point(name, one, MODEL):
            name = f"{name} ({one.name})"
        points[name] = _point(name, one, MODEL)
        if by is not None:
            others = _called(one, [param for param in different if param != by], "")
            groups[others][name] = one.params[by]
    first = experiments[0]
    baselines = [
        _point(method, first, method)
        for method in FILTERS
        if method not in UNSEEN and f"{method}.rmse_y" in first.metrics
    ]
    curves = [sorted(group, key=group.__getitem__) for group in groups.values() if len(group) > 1]
    return Plane([*points.values(), *baselines], curves)


def _different(experiments: Sequence[Experiment]) -> list[str]:
    """Params with more than one value among the experiments, in the first one's order."""
    return [
        name
        for name, value in experiments[0].params.items()
        if any(one.params.get(name) != value for one in experiments[1:])
    ]


def _called(one: Experiment, params: Sequence[str], otherwise: str | None = None) -> str:
    if not params:
        return one.name if otherwise is None else otherwise
    return ", ".join(f"{name.split('.')[-1]} {_shown(one.params.get(name))}" for name in params)


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _are_numbers(param: str, experiments: Sequence[Experiment]) -> bool:
    values = [one.params.get(param) for one in experiments]
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _point(name: str, one: Experiment, method: str) -> Point:
    figures = {
        key.removeprefix(f"{method}."): value
        for key, value in one.metrics.items()
        if key.startswith(f"{method}.")
    }
    return Point.of(name, figures, method == MODEL)
