"""The result of an evaluation, from which every file of the report is written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.evaluation.charts import CurveChart
from pipeline.evaluation.costs import Cost
from pipeline.evaluation.example_images import ExampleImage
from pipeline.evaluation.measurement import (
    IMAGE_METRICS,
    METRIC_BY_KEY,
    METRICS,
    Metric,
    Scores,
)
from pipeline.evaluation.methods import MODEL
from pipeline.evaluation.pairs import MeasuredImage
from pipeline.evaluation.plane import Plane
from pipeline.evaluation.resolved_params import TrainedWith
from pipeline.evaluation.significance import Interval, PairedTest
from pipeline.images.interpolation import baseline_in_words, baseline_of
from pipeline.params import EvaluateParams


@dataclass(frozen=True)
class Notice:
    """A warning: a grave one is red and above all, another stands behind the pictures."""

    title: str
    text: str
    grave: bool = False


@dataclass(frozen=True)
class Background:
    """What the page says of data, model and params beside the results."""

    curves: Sequence[CurveChart] = ()
    """training curves"""
    summaries: Mapping[str, Any] = field(default_factory=dict)
    """data stage → its summary"""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    used_params: Mapping[str, Any] = field(default_factory=dict)
    """of the evaluation, resolved"""
    trained_with: TrainedWith = field(default_factory=lambda: TrainedWith({}))


@dataclass(frozen=True)
class Evaluation:
    """All scores of the compared methods, examples, and the background."""

    params: EvaluateParams
    scale: int
    images: Sequence[MeasuredImage]
    image_scores: Sequence[Scores]
    """one for each image: method → metric → value"""
    means: Scores
    """method → metric → value over all images"""
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
    costs: Mapping[str, Cost] = field(default_factory=dict)
    """method → what it costs"""
    seconds: float = 0.0
    """of the whole evaluation but for writing the reports"""
    seed_groups: Sequence[Sequence[str]] = ()
    """methods that differ in the seed of their training alone"""
    background: Background = field(default_factory=Background)
    notices: Sequence[Notice] = ()

    @property
    def baseline(self) -> str:
        """The method that the trained generator is compared with one to one."""
        return baseline_of(self.scale)

    @property
    def baseline_in_words(self) -> str:
        """What texts call it."""
        return baseline_in_words(self.scale)

    @property
    def sizes(self) -> set[tuple[int, int]]:
        """Widths and heights of the images, pixels."""
        return {(image.width, image.height) for image in self.images}

    @property
    def metrics(self) -> list[Metric]:
        """The metrics that every method has."""
        return [metric for metric in METRICS if metric.key in self.means[MODEL]]

    @property
    def image_metrics(self) -> list[Metric]:
        """The metrics that every image has, in the order of `per_image.csv`."""
        keys = self.means[MODEL]
        return [METRIC_BY_KEY[key] for key in IMAGE_METRICS if key in keys]
