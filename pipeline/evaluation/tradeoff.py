"""One perception-distortion plane of many experiments."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.errors import UsageError
from pipeline.evaluation.interpolation import FILTERS, NOT_PICTURED
from pipeline.evaluation.methods import MODEL
from pipeline.evaluation.plane import Plane, Point


@dataclass(frozen=True)
class Experiment:
    """A finished run: its name, its params and its `metrics.json`."""

    name: str
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    """`METHOD.METRIC` → value"""


def tradeoff_plane(experiments: Sequence[Experiment], by: str | None = None) -> Plane:
    """Return a plane of each experiment's trained generator, and of interpolation.

    Points are labelled by the param `by`. A curve connects, in its order, the points that differ in
    no other param. The default of `by` is the only param that varies; if several do, points are
    labelled by all of them. Experiments with equal params and metrics are one point. Raises
    `UsageError` if `by` is set and is not a number in every experiment.
    """
    varying = _varying_params(experiments)
    if by is None:
        by = next((name for name in varying if _are_numbers(name, experiments)), None)
        by = by if len(varying) == 1 else None
    elif not _are_numbers(by, experiments):
        raise UsageError(f"--by: {by} is no number in all experiments")
    points: dict[str, Point] = {}
    groups: dict[str, dict[str, float]] = defaultdict(dict)
    for experiment in experiments:
        name = _label(experiment, varying if by is None else [by]) or experiment.name
        if name in points and points[name] != _point(name, experiment, MODEL):
            name = f"{name} ({experiment.name})"
        points[name] = _point(name, experiment, MODEL)
        if by is not None:
            other_params = _label(experiment, [param for param in varying if param != by])
            groups[other_params][name] = experiment.params[by]
    first = experiments[0]
    baselines = [
        _point(method, first, method)
        for method in FILTERS
        if method not in NOT_PICTURED and f"{method}.rmse_y" in first.metrics
    ]
    curves = [sorted(group, key=group.__getitem__) for group in groups.values() if len(group) > 1]
    return Plane([*points.values(), *baselines], curves)


def _varying_params(experiments: Sequence[Experiment]) -> list[str]:
    """Return the params with more than one value, in the order in which experiments have them."""
    names = dict.fromkeys(name for experiment in experiments for name in experiment.params)
    first, *others = experiments
    return [
        name
        for name in names
        if any(other.params.get(name) != first.params.get(name) for other in others)
    ]


def _label(experiment: Experiment, params: Sequence[str]) -> str:
    """Return the values of `params`; a generator has not those of other kinds."""
    values = {
        _short_name(name): experiment.params[name] for name in params if name in experiment.params
    }
    return ", ".join(f"{name} {_format_value(value)}" for name, value in values.items())


def _short_name(param: str) -> str:
    """Return the last part of a param's name: `generator` of `train.generator.kind`."""
    return param.removesuffix(".kind").rpartition(".")[-1]


def _format_value(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _are_numbers(param: str, experiments: Sequence[Experiment]) -> bool:
    values = [experiment.params.get(param) for experiment in experiments]
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _point(name: str, experiment: Experiment, method: str) -> Point:
    scores = {
        key.removeprefix(f"{method}."): value
        for key, value in experiment.metrics.items()
        if key.startswith(f"{method}.")
    }
    return Point.from_scores(name, scores, method == MODEL)
