"""The result of an evaluation, from which every file of the report is written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.evaluation.charts import CurveChart
from pipeline.evaluation.example_images import ExampleImage
from pipeline.evaluation.measurement import (
    IMAGE_METRICS,
    METRIC_BY_KEY,
    METRICS,
    Metric,
    Scores,
)
from pipeline.evaluation.methods import MODEL
from pipeline.evaluation.plane import Plane
from pipeline.evaluation.significance import Interval, PairedTest
from pipeline.manifest.rows import Row
from pipeline.params import EvaluateParams


@dataclass(frozen=True)
class Notice:
    """A warning that the page shows before the metrics; grave ones are red."""

    title: str
    text: str
    grave: bool = False


@dataclass(frozen=True)
class Evaluation:
    """All scores of the compared methods, and the provenance of data and models."""

    params: EvaluateParams
    scale: int
    rows: Sequence[Row]
    image_scores: Sequence[Scores]
    """one for each row: method → metric → value"""
    means: Scores
    """method → metric → value over all rows"""
    intervals: Mapping[str, Mapping[str, Interval]]
    """method → metric of an image → the mean's interval"""
    paired_tests: Sequence[PairedTest]
    plane: Plane
    ranked_by: Metric
    """metric by which the examples are chosen"""
    examples: Sequence[ExampleImage]
    """evenly spaced in the ranking, from the trained generator's largest gain to its least"""
    worst: Sequence[ExampleImage]
    """images for which the trained generator is worst, by one metric or more"""
    curves: Sequence[CurveChart] = ()
    """training curves"""
    summaries: Mapping[str, Any] = field(default_factory=dict)
    """data stage → its summary"""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    train_params: Mapping[str, Any] = field(default_factory=dict)
    notices: Sequence[Notice] = ()

    @property
    def metrics(self) -> list[Metric]:
        """The metrics that every method has."""
        return [metric for metric in METRICS if metric.key in self.means[MODEL]]

    @property
    def image_metrics(self) -> list[Metric]:
        """The metrics that every image has, in the order of `per_image.csv`."""
        keys = self.means[MODEL]
        return [METRIC_BY_KEY[key] for key in IMAGE_METRICS if key in keys]
