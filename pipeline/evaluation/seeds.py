"""Models that differ in the seed of their training alone, and the spread of their means."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from pipeline.evaluation.measurement import Metric, Scores

# Where and when a training computes does not make it another experiment.
NOT_COMPARED = ("seed", "checkpoint_seconds", "device", "processes")


@dataclass(frozen=True)
class SeedRow:
    """Models of one training with several seeds: means and standard deviations of their means."""

    methods: Sequence[str]
    cells: Sequence[str]
    """one per metric: mean ± sample standard deviation over the seeds"""


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
    rows = []
    for methods in groups:
        columns = [[means[method][metric.key] for method in methods] for metric in metrics]
        cells = [
            f"{metric.format(fmean(values))} ± {metric.format(stdev(values))}"
            for metric, values in zip(metrics, columns, strict=True)
        ]
        rows.append(SeedRow(methods, cells))
    return rows
