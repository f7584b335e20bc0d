"""Models that differ in the seed of their training alone, and the spread of their means."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

from pipeline.evaluation.measurement import DECIMALS, Metric, Scores
from pipeline.files import write_table

# Where and when a training computes does not make it another experiment.
NOT_COMPARED = ("seed", "checkpoint_seconds", "device", "processes")


@dataclass(frozen=True)
class Spread:
    """Means over images by one metric, of models that differ in their seed."""

    metric: Metric
    mean: float
    deviation: float
    """sample standard deviation over the seeds"""

    def __str__(self) -> str:
        return f"{self.metric.format(self.mean)} ± {self.metric.format(self.deviation)}"


@dataclass(frozen=True)
class SeedRow:
    """Models of one training with several seeds."""

    methods: Sequence[str]
    cells: Sequence[Spread]
    """one per metric"""


def seed_groups(metadata: Mapping[str, Mapping[str, str]]) -> list[list[str]]:
    """Return the methods that were trained alike but for `train.seed`, two seeds or more a group.

    `metadata`: method → metadata of its file. Of two methods with the same seed the first counts.
    """
    groups: dict[str, dict[int, str]] = defaultdict(dict)
    for method, entries in metadata.items():
        try:
            params = json.loads(entries.get("params", "{}"))
            seed = params["seed"]
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
        if type(seed) is not int:
            continue
        others = {name: value for name, value in params.items() if name not in NOT_COMPARED}
        kept = {name: text for name, text in entries.items() if name not in ("params", "device")}
        groups[json.dumps([others, kept], sort_keys=True)].setdefault(seed, method)
    return [list(by_seed.values()) for by_seed in groups.values() if len(by_seed) > 1]


def seeds_table(
    groups: Sequence[Sequence[str]], means: Scores, metrics: Sequence[Metric]
) -> list[SeedRow]:
    """Return one row per group of `seed_groups`, with a cell for each of `metrics`."""
    return [
        SeedRow(methods, [_spread(metric, methods, means) for metric in metrics])
        for methods in groups
    ]


def write_seeds(
    path: Path, groups: Sequence[Sequence[str]], means: Scores, metrics: Sequence[Metric]
) -> None:
    """Write `seeds.csv`: methods, seeds, metric, mean, deviation."""
    rows = [
        [
            " ".join(row.methods),
            len(row.methods),
            spread.metric.key,
            round(spread.mean, DECIMALS),
            round(spread.deviation, DECIMALS),
        ]
        for row in seeds_table(groups, means, metrics)
        for spread in row.cells
    ]
    write_table(path, ["methods", "seeds", "metric", "mean", "deviation"], rows)


def _spread(metric: Metric, methods: Sequence[str], means: Scores) -> Spread:
    values = [means[method][metric.key] for method in methods]
    return Spread(metric, fmean(values), stdev(values))
