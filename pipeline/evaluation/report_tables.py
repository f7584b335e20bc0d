"""The tables of the report page, as texts."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.evaluation.costs import Cost
from pipeline.evaluation.measurement import METRIC_BY_KEY, Metric
from pipeline.evaluation.methods import MODEL
from pipeline.evaluation.results import Evaluation
from pipeline.evaluation.significance import Interval, PairedTest

SIGNIFICANT = 0.05


@dataclass(frozen=True)
class MeanCell:
    """A method's mean of a metric."""

    text: str
    is_best: bool
    range: str
    """its confidence interval; empty if it has none"""


@dataclass(frozen=True)
class DifferenceCell:
    """The mean difference between the trained generator and another method, by a metric."""

    text: str
    range: str
    """its confidence interval"""
    p: str
    """corrected for the number of pairs of methods"""
    is_better: bool
    """whether the trained generator is better, and the test significant"""


@dataclass(frozen=True)
class MeanRow:
    """A method's means, one cell per metric."""

    method: str
    cells: Sequence[MeanCell]


@dataclass(frozen=True)
class CostCells:
    """The cost of a method; a dash where it has none."""

    parameters: str
    seconds: str
    """per megapixel of the result"""


@dataclass(frozen=True)
class DifferenceRow:
    """The trained generator against another method, one cell per metric."""

    method: str
    cells: Sequence[DifferenceCell]


def level_metrics(evaluation: Evaluation) -> list[Metric]:
    """Return SWD at each level of the pyramid as metrics named by the level's side in pixels."""
    keys = [key for key in evaluation.means[MODEL] if key.startswith("swd_")]
    decimals = METRIC_BY_KEY["swd"].decimals
    return [Metric(key, key.removeprefix("swd_"), decimals, False) for key in keys]


def means_table(evaluation: Evaluation, metrics: Sequence[Metric]) -> list[MeanRow]:
    """Return one row per method, with a cell for each of `metrics`."""
    means, intervals = evaluation.means, evaluation.intervals
    best = {
        metric.key: metric.best(row[metric.key] for row in means.values()) for metric in metrics
    }
    return [
        MeanRow(
            method,
            [
                MeanCell(
                    text=metric.format(row[metric.key]),
                    is_best=round(row[metric.key], metric.decimals) == best[metric.key],
                    range=_range(intervals.get(method, {}).get(metric.key), metric),
                )
                for metric in metrics
            ],
        )
        for method, row in means.items()
    ]


def cost_cells(evaluation: Evaluation, method: str) -> CostCells:
    """Return the cost of a method as the main table shows it."""
    cost = evaluation.costs.get(method, Cost())
    return CostCells(
        parameters="–" if cost.parameters is None else f"{cost.parameters:,}",
        seconds="–" if cost.seconds is None else f"{cost.seconds:.2g}",
    )


def differences_table(evaluation: Evaluation) -> list[DifferenceRow]:
    """Return one row per other method, the trained generator minus it, by the images' metrics."""
    cells: dict[str, dict[str, DifferenceCell]] = defaultdict(dict)
    for test in evaluation.paired_tests:
        if MODEL in (test.method, test.other):
            of_model = test if test.method == MODEL else test.reversed()
            cells[of_model.other][test.metric] = _difference_cell(of_model)
    return [
        DifferenceRow(method, [by_metric[metric.key] for metric in evaluation.image_metrics])
        for method, by_metric in cells.items()
    ]


def _range(interval: Interval | None, metric: Metric) -> str:
    return f"{metric.format(interval.low)}–{metric.format(interval.high)}" if interval else ""


def _difference_cell(test: PairedTest) -> DifferenceCell:
    metric, difference = METRIC_BY_KEY[test.metric], test.mean_difference
    mean, low, high = (
        metric.format_difference(value)
        for value in (difference.mean, difference.low, difference.high)
    )
    return DifferenceCell(
        text=mean,
        range=f"{low} to {high}",
        p="p < .001" if test.p_holm < 0.001 else f"p = {test.p_holm:.3f}",
        is_better=metric.gain(difference.mean, 0) > 0 and test.p_holm < SIGNIFICANT,
    )
