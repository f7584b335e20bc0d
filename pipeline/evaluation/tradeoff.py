"""One perception-distortion plane of many experiments."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.errors import UsageError
from pipeline.evaluation.methods import MODEL
from pipeline.evaluation.plane import Plane, Point
from pipeline.images.interpolation import FILTERS, INPUT


@dataclass(frozen=True)
class Experiment:
    """A finished run: its name, its params and its `metrics.json`."""

    name: str
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    """`METHOD.METRIC` → value"""
    revision: str = ""
    """its commit"""


def tradeoff_plane(experiments: Sequence[Experiment], by: str | None = None) -> Plane:
    """Return a plane of each experiment's trained generator, and of interpolation.

    Points are labelled by the param `by` and by the others that vary. A curve connects, in the
    order of `by`, the points that differ in no other param. The default of `by` is the only param
    that varies. Experiments with equal params and metrics are one point. Raises
    `UsageError` if `by` is set and is not a number in every experiment.
    """
    varying = varying_params(experiments)
    if by is None:
        by = _only_number(varying, experiments)
    elif not _are_numbers(by, experiments):
        raise UsageError(f"--by: {by} is no number in all experiments")
    others = [param for param in varying if param != by]
    shown = varying if by is None else [by, *others]
    named = _named(experiments, _unambiguous_names(shown, varying))
    points = {name: _point(name, experiment, MODEL) for name, experiment in named}
    curves = [] if by is None else _curves(named, by, others)
    return Plane([*points.values(), *_baselines(experiments[0])], curves)


def _only_number(varying: Sequence[str], experiments: Sequence[Experiment]) -> str | None:
    """Return the only param that varies, if it is a number."""
    return varying[0] if len(varying) == 1 and _are_numbers(varying[0], experiments) else None


def _named(
    experiments: Sequence[Experiment], shown_names: Mapping[str, str]
) -> list[tuple[str, Experiment]]:
    """Return the experiments with the names of their points; equal points have one name."""
    named: list[tuple[str, Experiment]] = []
    points: dict[str, Point] = {}
    for experiment in experiments:
        name = _label(experiment, shown_names) or experiment.name
        if name in points and points[name] != _point(name, experiment, MODEL):
            name = f"{name} ({experiment.name})"
        points[name] = _point(name, experiment, MODEL)
        named.append((name, experiment))
    return named


def _curves(
    named: Sequence[tuple[str, Experiment]], by: str, others: Sequence[str]
) -> list[list[str]]:
    """Connect, in the order of `by`, the points whose params `others` are all equal."""
    groups: list[tuple[list[object], dict[str, float]]] = []
    for name, experiment in named:
        values = [experiment.params.get(param) for param in others]
        # Not by a dict: lists of tags have no hash.
        group = next((group for other, group in groups if other == values), None)
        if group is None:
            group = {}
            groups.append((values, group))
        group[name] = experiment.params[by]
    return [sorted(group, key=group.__getitem__) for _, group in groups if len(group) > 1]


def _baselines(experiment: Experiment) -> list[Point]:
    """Return the points of interpolation, which are the same in all experiments."""
    return [
        _point(method, experiment, method)
        for method in (*FILTERS, INPUT)
        if f"{method}.rmse_y" in experiment.metrics
    ]


def varying_params(experiments: Sequence[Experiment]) -> list[str]:
    """Return the params with more than one value, in the order in which experiments have them."""
    names = dict.fromkeys(name for experiment in experiments for name in experiment.params)
    first, *others = experiments
    return [
        name
        for name in names
        if any(other.params.get(name) != first.params.get(name) for other in others)
    ]


def _unambiguous_names(params: Sequence[str], varying: Sequence[str]) -> dict[str, str]:
    """Return param → its name in labels: in full where another that varies has the same short name.

    `train.degradation` and `evaluate.degradation` are such params.
    """
    counts = Counter(_short_name(param) for param in {*params, *varying})
    return {
        param: _short_name(param) if counts[_short_name(param)] == 1 else param for param in params
    }


def _label(experiment: Experiment, shown_names: Mapping[str, str]) -> str:
    """Return the values of params; a generator has not those of other kinds."""
    return ", ".join(
        f"{name} {format_value(experiment.params[param])}"
        for param, name in shown_names.items()
        if param in experiment.params
    )


def _short_name(param: str) -> str:
    """Return the last part of a param's name: `generator` of `train.generator.kind`."""
    return param.removesuffix(".kind").rpartition(".")[-1]


def format_value(value: object) -> str:
    """Return a param's value as names and tables show it."""
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
