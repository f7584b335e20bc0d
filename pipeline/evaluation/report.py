"""The files of an evaluation: metrics, tables, figures and the page."""

import json
from pathlib import Path

from pipeline.evaluation.example_images import draw_examples
from pipeline.evaluation.measurement import DECIMALS
from pipeline.evaluation.methods import MODEL
from pipeline.evaluation.plane import write_points
from pipeline.evaluation.plane_figure import draw_plane
from pipeline.evaluation.report_page import write_page
from pipeline.evaluation.results import Evaluation
from pipeline.evaluation.seeds import write_seeds
from pipeline.evaluation.significance import Interval
from pipeline.files import write_table, write_text

# Columns of `dvc exp show`; the others are in `means.csv`.
MAIN_METRICS = ("psnr_y", "ssim_y", "ms_ssim_y", "rmse_y", "lpips", "dists", "swd", "kvd")


def write_reports(folder: Path, evaluation: Evaluation) -> None:
    """Write `metrics.json`, `evaluate/` and `index.html` into `folder`."""
    details = folder / "evaluate"
    _write_metrics(folder / "metrics.json", evaluation)
    _write_means(details / "means.csv", evaluation)
    _write_image_scores(details / "per_image.csv", evaluation)
    write_points(details / "plane.csv", evaluation.plane)
    draw_plane([details / "plane.png", details / "plane.svg"], evaluation.plane)
    draw_examples(details / "comparison.png", evaluation.examples)
    draw_examples(details / "worst.png", evaluation.worst)
    _write_intervals(details / "intervals.csv", evaluation)
    _write_paired_tests(details / "comparisons.csv", evaluation)
    write_seeds(details / "seeds.csv", evaluation.seed_groups, evaluation.means, evaluation.metrics)
    write_page(folder / "index.html", evaluation)


def _write_metrics(path: Path, evaluation: Evaluation) -> None:
    """Write the trained generator's main means, each a column of `dvc exp show`."""
    means = evaluation.means[MODEL]
    flat = {f"{MODEL}.{key}": means[key] for key in MAIN_METRICS if key in means}
    write_text(path, json.dumps(flat, indent=2) + "\n")


def _write_means(path: Path, evaluation: Evaluation) -> None:
    rows = [
        [method, metric, value]
        for method, scores in evaluation.means.items()
        for metric, value in scores.items()
    ]
    write_table(path, ["method", "metric", "mean"], rows)


def _write_image_scores(path: Path, evaluation: Evaluation) -> None:
    keys = [metric.key for metric in evaluation.image_metrics]
    rows = [
        [image.name, method, *(scores[key] for key in keys)]
        for image, image_scores in zip(evaluation.images, evaluation.image_scores, strict=True)
        for method, scores in image_scores.items()
    ]
    write_table(path, ["image", "method", *keys], rows)


def _write_intervals(path: Path, evaluation: Evaluation) -> None:
    rows = [
        [method, metric, *_rounded(interval)]
        for method, intervals in evaluation.intervals.items()
        for metric, interval in intervals.items()
    ]
    write_table(path, ["method", "metric", "mean", "low", "high"], rows)


def _write_paired_tests(path: Path, evaluation: Evaluation) -> None:
    rows = [
        [
            test.metric,
            test.method,
            test.other,
            *_rounded(test.mean_difference),
            f"{test.p:.3g}",
            f"{test.p_holm:.3g}",
        ]
        for test in evaluation.paired_tests
    ]
    header = ["metric", "method", "other", "difference", "low", "high", "p", "p_holm"]
    write_table(path, header, rows)


def _rounded(interval: Interval) -> tuple[float, float, float]:
    mean, low, high = (
        round(value, DECIMALS) for value in (interval.mean, interval.low, interval.high)
    )
    return mean, low, high
