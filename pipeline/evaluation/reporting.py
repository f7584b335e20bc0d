"""The files of an evaluation: metrics, tables, figures and the page."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError
from pipeline.evaluation.curves import read_curves
from pipeline.evaluation.measuring import PER_IMAGE, Figures, Metric
from pipeline.evaluation.page import ImageFigures, Notice, Report, write_page
from pipeline.evaluation.pictures import Picture, draw_comparison
from pipeline.evaluation.plane import PERCEPTION, Point, draw_plane, write_points
from pipeline.files import atomic_path, sha256_of, write_text
from pipeline.manifest import Row
from pipeline.params import EvaluateParams

MODEL = "model"
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
    ranked_by: Metric
    without_lpips: str
    """why LPIPS was not measured; empty where it was"""
    alexnet: str
    """where LPIPS's backbone comes from; empty without"""
    metadata: Mapping[str, str]
    """of the generator's file"""
    generator_parameters: int


def write_reports(
    folder: Path, evaluation: Evaluation, manifest: Path, model: Path, revision: str | None
) -> None:
    """Write `metrics.json`, `evaluate/` and `index.html` into `folder`."""
    points = [_point(method, figures) for method, figures in evaluation.means.items()]
    flat = {
        f"{method}.{metric}": value
        for method, figures in evaluation.means.items()
        for metric, value in figures.items()
    }
    write_text(folder / "metrics.json", json.dumps(flat, indent=2) + "\n")
    _write_images(folder / "evaluate/per_image.csv", evaluation)
    write_points(folder / "evaluate/plane.csv", points)
    draw_plane(folder / "evaluate/plane.png", points)
    draw_comparison(folder / "evaluate/comparison.png", evaluation.pictures, evaluation.ranked_by)
    manifest_sha256 = sha256_of(manifest)
    report = Report(
        scale=evaluation.scale,
        split=evaluation.params.split,
        border=evaluation.params.crop_border,
        models=(MODEL,),
        means=evaluation.means,
        images=[
            ImageFigures(row.name, row.post_url, figures)
            for row, figures in zip(evaluation.rows, evaluation.figures, strict=True)
        ],
        pictures=evaluation.pictures,
        points=points,
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


def _point(method: str, figures: Mapping[str, float]) -> Point:
    perception = {key: figures[key] for key in PERCEPTION if key in figures}
    return Point(method, figures["rmse_y"], figures["psnr_y"], perception, method == MODEL)


def _write_images(path: Path, evaluation: Evaluation) -> None:
    measured = [key for key in PER_IMAGE if key in evaluation.means[MODEL]]
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "tile", "method", *measured])
        for row, of_one in zip(evaluation.rows, evaluation.figures, strict=True):
            for method, figures in of_one.items():
                writer.writerow([row.id, row.tile, method, *(figures[key] for key in measured)])


def _summaries(folder: Path) -> dict[str, Any]:
    """What the data stages said of their work, where they did."""
    summaries = {}
    for name in SUMMARIES:
        path = folder / f"{name}.json"
        if path.is_file():
            summaries[name] = _json(path.read_text(encoding="utf-8"), path)
    return summaries


def _train_params(metadata: Mapping[str, str], model: Path) -> dict[str, Any]:
    params: dict[str, Any] = _json(metadata.get("params", "{}"), model)
    return params


def _json(text: str, source: Path) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
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
        "trained for, steps": metadata.get("step", "unknown"),
        "trained with a discriminator": metadata.get("adversarial") == "true",
        "VGG16 weights of the content loss": metadata.get("vgg", "unknown"),
        "AlexNet weights of LPIPS": evaluation.alexnet or "none",
        "manifest measured, SHA-256": manifest_sha256,
        "manifest trained on, SHA-256": metadata.get("manifest_sha256", "unknown"),
        "images measured": len(evaluation.rows),
        "split": evaluation.params.split,
    }


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
    if evaluation.without_lpips:
        notices.append(Notice("LPIPS was not measured.", evaluation.without_lpips))
    return notices
