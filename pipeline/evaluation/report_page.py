"""The report page: one HTML file that opens from disk and makes no network requests."""

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from pipeline.evaluation.comparison import Picture, to_image
from pipeline.evaluation.interpolation import BASELINE
from pipeline.evaluation.measurement import METRIC_BY_KEY, Metric
from pipeline.evaluation.methods import MODEL
from pipeline.evaluation.pairs import evenly_spaced
from pipeline.evaluation.plane_figure import inline_svg
from pipeline.evaluation.results import Evaluation
from pipeline.evaluation.statistics import Comparison, Interval
from pipeline.files import write_text

MAX_PICTURE_CHARACTERS = 11_000_000
"""Of all pictures together, so that the page with its tables stays under 15 MB."""
QUALITIES = (92, 85, 75, 60, 40)
"""Of JPEG, without chroma subsampling, which would blur the lines of all versions alike."""


def write_page(path: Path, evaluation: Evaluation) -> None:
    """Write the page of `evaluation` to `path`."""
    environment = _environment()
    css, script = (_source(environment, name) for name in ("page.css", "page.js"))
    pictures, worst = _encode_pictures(evaluation)
    total = len(evaluation.pictures) + len(evaluation.worst)
    page = environment.get_template("page.html.j2").render(
        css=css,
        script=script,
        evaluation=evaluation,
        pictures=pictures,
        worst=worst,
        omitted=total - len(pictures) - len(worst),
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
    environment.filters |= {"words": _words, "number": _number, "web_link": _web_link}
    environment.globals |= {
        "MODEL": MODEL,
        "BASELINE": BASELINE,
        "summary_sentences": summary_sentences,
        "means_table": means_table,
        "level_metrics": level_metrics,
        "differences_table": differences_table,
        "inline_svg": inline_svg,
    }
    return environment


def _source(environment: Environment, name: str) -> Markup:
    assert environment.loader is not None
    return Markup(environment.loader.get_source(environment, name)[0])  # noqa: S704  # our own file


def summary_sentences(evaluation: Evaluation) -> list[str]:
    """Return the page's lead: the gain in distortion and in perception over the baseline."""
    model, baseline = evaluation.means[MODEL], evaluation.means[BASELINE]
    gain = model["psnr_y"] - baseline["psnr_y"]
    distortion = (
        f"Over {len(evaluation.rows)} images of the {evaluation.params.split} split, the trained "
        f"generator reaches {model['psnr_y']:.2f} dB (PSNR of Y); bicubic interpolation reaches "
        f"{baseline['psnr_y']:.2f} dB. Pixel by pixel it lies {abs(gain):.2f} dB "
        f"{'nearer to' if gain >= 0 else 'further from'} the originals."
    )
    metric = METRIC_BY_KEY["lpips" if "lpips" in model else "swd"]
    ours, theirs = (metric.format(scores[metric.key]) for scores in (model, baseline))
    nearer = "nearer to" if model[metric.key] <= baseline[metric.key] else "further from"
    perception = (
        f"By {metric.name}, a measure of how different images look, its results are {nearer} the "
        f"originals: {ours} against {theirs}, where 0 is the same."
    )
    return [distortion, perception]


def level_metrics(evaluation: Evaluation) -> list[Metric]:
    """Return SWD at each level of the pyramid as metrics named by the level's side in pixels."""
    keys = [key for key in evaluation.means[MODEL] if key.startswith("swd_")]
    decimals = METRIC_BY_KEY["swd"].decimals
    return [Metric(key, key.removeprefix("swd_"), decimals, False) for key in keys]


def means_table(evaluation: Evaluation, metrics: Sequence[Metric]) -> list[Any]:
    """Return rows of `method` and `cells`, one per metric: `text`, `best` and `range`."""
    means, intervals = evaluation.means, evaluation.intervals
    best = {
        metric.key: metric.best(row[metric.key] for row in means.values()) for metric in metrics
    }
    return [
        {
            "method": method,
            "cells": [
                {
                    "text": metric.format(row[metric.key]),
                    "best": round(row[metric.key], metric.decimals) == best[metric.key],
                    "range": _range(intervals.get(method, {}).get(metric.key), metric),
                }
                for metric in metrics
            ],
        }
        for method, row in means.items()
    ]


def _range(interval: Interval | None, metric: Metric) -> str:
    return f"{metric.format(interval.low)}–{metric.format(interval.high)}" if interval else ""


def differences_table(evaluation: Evaluation) -> list[Any]:
    """Return rows of the trained generator minus each other method, one cell per image metric."""
    cells: dict[str, dict[str, Any]] = {}
    for comparison in evaluation.comparisons:
        if comparison.method == MODEL:
            cell = _difference_cell(comparison, sign=1)
            cells.setdefault(comparison.other, {})[comparison.metric] = cell
        elif comparison.other == MODEL:
            cell = _difference_cell(comparison, sign=-1)
            cells.setdefault(comparison.method, {})[comparison.metric] = cell
    return [
        {"method": method, "cells": [row[metric.key] for metric in evaluation.image_metrics]}
        for method, row in cells.items()
    ]


def _difference_cell(comparison: Comparison, sign: int) -> dict[str, Any]:
    metric, difference = METRIC_BY_KEY[comparison.metric], comparison.difference
    low, high = sorted((sign * difference.low, sign * difference.high))
    return {
        "text": f"{sign * difference.mean:+.{metric.decimals}f}",
        "range": f"{low:+.{metric.decimals}f} to {high:+.{metric.decimals}f}",
        "p": "p < .001" if comparison.p < 0.001 else f"p = {comparison.p:.3f}",
        "better": metric.gain(sign * difference.mean, 0) > 0 and comparison.p < 0.05,
    }


def _encode_pictures(evaluation: Evaluation) -> list[list[Any]]:
    """Encode pictures and worst cases at the highest quality that fits the page.

    If none fits, evenly spaced ones of both are left out.
    """
    for quality in QUALITIES:
        encoded = [
            [_encode_picture(picture, quality) for picture in group]
            for group in (evaluation.pictures, evaluation.worst)
        ]
        characters = sum(_characters(picture) for group in encoded for picture in group)
        if characters <= MAX_PICTURE_CHARACTERS:
            return encoded
    share = MAX_PICTURE_CHARACTERS / characters
    return [
        [group[index] for index in evenly_spaced(len(group), max(1, int(len(group) * share)))]
        for group in encoded
    ]


def _characters(encoded: Mapping[str, Any]) -> int:
    return sum(len(version["image"]) + len(version["detail"]) for version in encoded["versions"])


def _encode_picture(picture: Picture, quality: int) -> dict[str, Any]:
    height, width = picture.versions["original"].shape[-2:]
    box = picture.box
    return {
        "name": picture.name,
        "metrics": [metric.name for metric in picture.captions],
        "width": width,
        "height": height,
        "detail": box.right - box.left,
        "box": {
            "left": round(100 * box.left / width, 2),
            "top": round(100 * box.top / height, 2),
            "width": round(100 * (box.right - box.left) / width, 2),
            "height": round(100 * (box.bottom - box.top) / height, 2),
        },
        "versions": [
            {
                "name": name,
                "image": _data_uri(to_image(pixels), "JPEG", quality=quality, subsampling=0),
                "detail": _data_uri(to_image(picture.detail(name)), "WEBP", lossless=True),
                "caption": _caption(picture, name),
            }
            for name, pixels in picture.versions.items()
        ],
    }


def _caption(picture: Picture, version: str) -> str:
    scores = picture.scores.get(version, {})
    shown = [metric for metric in picture.captions if metric.key in scores]
    return ", ".join(f"{metric.name} {metric.format(scores[metric.key])}" for metric in shown)


def _data_uri(image: Image.Image, kind: Literal["JPEG", "WEBP"], **options: Any) -> str:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    text = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f"data:image/{kind.lower()};base64,{text}"


def _words(key: object) -> str:
    return str(key).replace("_", " ")


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.6g}"


def _web_link(address: str) -> str:
    """Return the address if it is http(s), else nothing: others wrote it."""
    return address if address.startswith(("https://", "http://")) else ""
