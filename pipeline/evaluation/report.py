"""The files of an evaluation: metrics, tables, figures and the page."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError
from pipeline.evaluation.comparison import Picture, draw_comparison
from pipeline.evaluation.curves import read_curves
from pipeline.evaluation.measurement import DIGITS, PER_IMAGE, Figures, Metric
from pipeline.evaluation.methods import MODEL
from pipeline.evaluation.perceptual import Judges
from pipeline.evaluation.plane import Plane, Point, draw_plane, write_points
from pipeline.evaluation.report_page import ImageFigures, Notice, Report, write_page
from pipeline.evaluation.statistics import Comparison, Interval, comparisons, intervals
from pipeline.files import sha256_of, write_table, write_text
from pipeline.manifest.rows import Row
from pipeline.params import EvaluateParams

SUMMARIES = ("scrape", "resize", "manifest")


@dataclass(frozen=True)
class Evaluation:
    """What was measured, of what."""

    params: EvaluateParams
    scale: int
    rows: Sequence[Row]
    figures: Sequence[Figures]
    """of each row: method → metric → value"""
    means: Figures
    """method → metric → value over all rows"""
    pictures: Sequence[Picture]
    """spread evenly from where the trained generator gains most to where it gains least"""
    worst: Sequence[Picture]
    """where it is worst, by one metric or more"""
    models: Sequence[str]
    """which methods are generators; the trained one is the first"""
    blended: Sequence[str]
    """methods on the curve between two generators; empty without"""
    ranked_by: Metric
    judges: Judges
    metadata: Mapping[str, str]
    """of the generator's file"""
    generator_parameters: int


def write_reports(
    folder: Path, evaluation: Evaluation, manifest: Path, model: Path, revision: str | None
) -> None:
    """Write `metrics.json`, `evaluate/` and `index.html` into `folder`."""
    points = [
        Point.of(method, figures, method == MODEL) for method, figures in evaluation.means.items()
    ]
    flat = {
        f"{method}.{metric}": value
        for method, figures in evaluation.means.items()
        for metric, value in figures.items()
    }
    write_text(folder / "metrics.json", json.dumps(flat, indent=2) + "\n")
    _write_images(folder / "evaluate/per_image.csv", evaluation)
    plane = Plane(points, [evaluation.blended] if evaluation.blended else [])
    write_points(folder / "evaluate/plane.csv", plane)
    draw_plane(folder / "evaluate/plane.png", plane)
    draw_plane(folder / "evaluate/plane.svg", plane)
    draw_comparison(folder / "evaluate/comparison.png", evaluation.pictures)
    draw_comparison(folder / "evaluate/worst.png", evaluation.worst)
    certain = intervals(evaluation.figures, evaluation.params.seed)
    compared = comparisons(evaluation.figures, evaluation.params.seed)
    _write_intervals(folder / "evaluate/intervals.csv", certain)
    _write_comparisons(folder / "evaluate/comparisons.csv", compared)
    manifest_sha256 = sha256_of(manifest)
    report = Report(
        scale=evaluation.scale,
        split=evaluation.params.split,
        border=evaluation.params.crop_border,
        models=evaluation.models,
        means=evaluation.means,
        images=[
            ImageFigures(row.name, row.post_url, figures)
            for row, figures in zip(evaluation.rows, evaluation.figures, strict=True)
        ],
        pictures=evaluation.pictures,
        worst=evaluation.worst,
        intervals=certain,
        comparisons=compared,
        plane=plane,
        ranked_by=evaluation.ranked_by,
        curves=read_curves(folder / "train/plots/metrics"),
        summaries=_summaries(folder),
        provenance=_provenance(evaluation, manifest_sha256, sha256_of(model), revision),
        params={
            "train": _train_params(evaluation.metadata, model),
            "evaluate": evaluation.params.model_dump(),
        },
        notices=_notices(evaluation, manifest_sha256),
    )
    write_page(folder / "index.html", report)


def _write_images(path: Path, evaluation: Evaluation) -> None:
    measured = [key for key in PER_IMAGE if key in evaluation.means[MODEL]]
    rows = [
        [row.id, row.tile, method, *(figures[key] for key in measured)]
        for row, of_one in zip(evaluation.rows, evaluation.figures, strict=True)
        for method, figures in of_one.items()
    ]
    write_table(path, ["id", "tile", "method", *measured], rows)


def _write_intervals(path: Path, certain: Mapping[str, Mapping[str, Interval]]) -> None:
    rows = [
        [method, metric, *_rounded(interval)]
        for method, of_one in certain.items()
        for metric, interval in of_one.items()
    ]
    write_table(path, ["method", "metric", "mean", "low", "high"], rows)


def _write_comparisons(path: Path, compared: Sequence[Comparison]) -> None:
    rows = [
        [one.metric, one.method, one.other, *_rounded(one.difference), f"{one.p:.3g}"]
        for one in compared
    ]
    header = ["metric", "method", "other", "difference", "low", "high", "p"]
    write_table(path, header, rows)


def _rounded(interval: Interval) -> tuple[float, float, float]:
    mean, low, high = (
        round(value, DIGITS) for value in (interval.mean, interval.low, interval.high)
    )
    return mean, low, high


def _summaries(folder: Path) -> dict[str, Any]:
    """What the data stages said of their work, where they did."""
    summaries = {}
    for name in SUMMARIES:
        path = folder / f"{name}.json"
        if path.is_file():
            summaries[name] = _json(path.read_text(encoding="utf-8"), path)
    return summaries


def _train_params(metadata: Mapping[str, str], model: Path) -> dict[str, Any]:
    params = _json(metadata.get("params", "{}"), model)
    if not isinstance(params, dict):
        raise PipelineError(f"{model}: its params are no mapping; make it again")
    return params


def _json(text: str, source: Path) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PipelineError(f"{source}: damaged JSON ({error}); make it again") from None


def _provenance(
    evaluation: Evaluation, manifest_sha256: str, model_sha256: str, revision: str | None
) -> dict[str, Any]:
    metadata = evaluation.metadata
    return {
        "code": revision or "not in a git repository",
        "generator": metadata.get("architecture", "unknown"),
        "generator's parameters": evaluation.generator_parameters,
        "generator's file, SHA-256": model_sha256,
        **{
            f"file of {name}, SHA-256": sha256_of(Path(path))
            for name, path in evaluation.params.models.items()
        },
        **{
            f"results of {name}, SHA-256": _results_sha256(Path(path), evaluation.rows)
            for name, path in evaluation.params.results.items()
        },
        "trained for, steps": metadata.get("step", "unknown"),
        "trained on": metadata.get("device", "unknown"),
        "trained in precision": metadata.get("precision", "unknown"),
        "trained with PyTorch": metadata.get("torch", "unknown"),
        "trained by code, hash": metadata.get("code", "unknown"),
        "trained with a discriminator": metadata.get("adversarial") == "true",
        "VGG16 weights of the content loss": metadata.get("vgg", "unknown"),
        **{
            f"backbone's weights of {metrics}": origin
            for metrics, origin in evaluation.judges.origins.items()
        },
        "manifest measured, SHA-256": manifest_sha256,
        "manifest trained on, SHA-256": metadata.get("manifest_sha256", "unknown"),
        "images measured": len(evaluation.rows),
        "split": evaluation.params.split,
    }


def _results_sha256(folder: Path, rows: Sequence[Row]) -> str:
    """Return one hash of another program's results for all images."""
    hashes = "".join(sha256_of(folder / f"{row.name}.png") for row in rows)
    return hashlib.sha256(hashes.encode()).hexdigest()


def _notices(evaluation: Evaluation, manifest_sha256: str) -> list[Notice]:
    notices = []
    if evaluation.metadata.get("vgg") == "random":
        text = (
            "The content loss compared features of a VGG16 with random weights, which is another "
            "experiment than the article's: these figures do not speak for it."
        )
        notices.append(Notice("Random VGG weights.", text, grave=True))
    trained_on = evaluation.metadata.get("manifest_sha256", manifest_sha256)
    if trained_on != manifest_sha256:
        text = "The model was trained on another manifest; it may have seen the images below."
        notices.append(Notice("Another manifest.", text, grave=True))
    if evaluation.params.degradation == "web":
        text = (
            "The images that were enlarged are damaged as pictures on the web are, by other "
            "filters, noise and JPEG: these figures do not compare with those of clean ones."
        )
        notices.append(Notice("Another task.", text))
    for metrics, reason in evaluation.judges.missing.items():
        notices.append(Notice(f"Not measured: {metrics}.", reason))
    return notices
