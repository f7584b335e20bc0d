"""How sure the means are: intervals by the bootstrap, and paired tests between methods."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from pipeline.evaluation.measurement import Figures

RESAMPLES = 2000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean over images, and where 95 of 100 means of other images like them would lie."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """Two methods on the same images: the mean of `method` minus `other`, and its chance.

    `p` is of Wilcoxon's signed-rank test, two-sided: how often a difference at least like this
    comes about where neither is better. It is not corrected for the number of comparisons.
    """

    metric: str
    method: str
    other: str
    difference: Interval
    p: float


def intervals(images: Sequence[Figures], seed: int) -> dict[str, dict[str, Interval]]:
    """Method → metric → the mean's interval, by the percentile bootstrap over images.

    With a single image there is no interval: it is the value itself.
    """
    return {
        method: {metric: _interval(_values(images, method, metric), seed) for metric in of_one}
        for method, of_one in images[0].items()
    }


def comparisons(images: Sequence[Figures], seed: int) -> list[Comparison]:
    """Every pair of methods by every metric, the later method minus the earlier one."""
    methods = list(images[0])
    found = []
    for other, method in combinations(methods, 2):
        for metric in images[0][method]:
            apart = _values(images, method, metric) - _values(images, other, metric)
            interval = _interval(apart, seed)
            found.append(Comparison(metric, method, other, interval, _chance(apart)))
    return found


def _values(images: Sequence[Figures], method: str, metric: str) -> NDArray[np.float64]:
    return np.array([of_one[method][metric] for of_one in images])


def _interval(values: NDArray[np.float64], seed: int) -> Interval:
    mean = float(values.mean())
    if len(values) == 1:
        return Interval(mean, mean, mean)
    found = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=RESAMPLES,
        batch=256,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(mean, float(found.low), float(found.high))


def _chance(apart: NDArray[np.float64]) -> float:
    if not apart.any():
        return 1.0
    with warnings.catch_warnings():
        # Few images with ties: scipy falls back to the normal approximation, and says so.
        warnings.simplefilter("ignore")
        return float(stats.wilcoxon(apart).pvalue)
