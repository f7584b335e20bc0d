"""The report page: one HTML file that opens from disk and makes no network requests."""

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pipeline.evaluation.encoded_examples import encode_examples
from pipeline.evaluation.measurement import METRIC_BY_KEY
from pipeline.evaluation.methods import MODEL
from pipeline.evaluation.notices import FEW_IMAGES
from pipeline.evaluation.origins import (
    file_name,
    measured_set,
    origins_of,
    shown_folder,
    source_link,
    web_link,
)
from pipeline.evaluation.plane import BOUND_DB
from pipeline.evaluation.plane_figure import inline_svg
from pipeline.evaluation.report_tables import (
    cost_cells,
    differences_table,
    level_metrics,
    means_table,
)
from pipeline.evaluation.results import Evaluation
from pipeline.evaluation.seeds import seeds_table
from pipeline.evaluation.written_tables import written_tables
from pipeline.files import write_text

TABLES = ("means.csv", "intervals.csv", "comparisons.csv", "per_image.csv", "plane.csv")
"""Files of `reports/evaluate/` that the page links."""


def write_page(path: Path, evaluation: Evaluation) -> None:
    """Write the page of `evaluation` to `path`."""
    environment = _environment()
    css, script = (_source(environment, name) for name in ("page.css", "page.js"))
    examples, worst = encode_examples([evaluation.examples, evaluation.worst])
    total = len(evaluation.examples) + len(evaluation.worst)
    page = environment.get_template("page.html.j2").render(
        css=css,
        script=script,
        evaluation=evaluation,
        background=evaluation.background,
        measured_set=measured_set(evaluation.params),
        images_by_name={image.name: image for image in evaluation.images},
        grave_notices=[notice for notice in evaluation.notices if notice.grave],
        other_notices=[notice for notice in evaluation.notices if not notice.grave],
        marked=any(curve.phases is not None for curve in evaluation.background.curves),
        examples=examples,
        worst=worst,
        omitted=total - len(examples) - len(worst),
    )
    write_text(path, page.strip() + "\n")


def _environment() -> Environment:
    """Return the template's environment with its filters and the functions that it calls."""
    environment = Environment(
        loader=PackageLoader("pipeline.evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "words": _words,
        "number": _number,
        "file_name": file_name,
        "web_link": web_link,
        "source_link": source_link,
        "shown_folder": shown_folder,
    }
    environment.globals |= {
        "MODEL": MODEL,
        "BOUND_DB": BOUND_DB,
        "FILES": TABLES,
        "summary_sentences": summary_sentences,
        "origins_of": origins_of,
        "means_table": means_table,
        "cost_cells": cost_cells,
        "seeds_table": seeds_table,
        "written_tables": written_tables,
        "level_metrics": level_metrics,
        "differences_table": differences_table,
        "inline_svg": inline_svg,
    }
    return environment


def _source(environment: Environment, name: str) -> Markup:
    assert environment.loader is not None
    return Markup(environment.loader.get_source(environment, name)[0])  # noqa: S704  # our own file


def summary_sentences(evaluation: Evaluation) -> list[str]:
    """Return the page's lead: the gain in distortion and in perception over the baseline.

    Of few images nothing is said of perception where LPIPS is not measured.
    """
    model, baseline = evaluation.means[MODEL], evaluation.means[evaluation.baseline]
    gain = model["psnr_y"] - baseline["psnr_y"]
    distortion = (
        f"Over {len(evaluation.images)} images of {measured_set(evaluation.params)}, the trained "
        f"generator reaches {model['psnr_y']:.2f} dB (PSNR of Y); {evaluation.baseline_in_words} "
        f"reaches {baseline['psnr_y']:.2f} dB. Pixel by pixel it lies {abs(gain):.2f} dB "
        f"{'nearer to' if gain >= 0 else 'further from'} the originals."
    )
    if "lpips" not in model and len(evaluation.images) < FEW_IMAGES:
        return [distortion]
    metric = METRIC_BY_KEY["lpips" if "lpips" in model else "swd"]
    ours, theirs = (metric.format(scores[metric.key]) for scores in (model, baseline))
    nearer = "nearer to" if model[metric.key] <= baseline[metric.key] else "further from"
    perception = (
        f"By {metric.name}, a measure of how different images look, its results are {nearer} the "
        f"originals: {ours} against {theirs}, where 0 is the same."
    )
    return [distortion, perception]


def _words(key: object) -> str:
    return str(key).replace("_", " ")


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.6g}"
