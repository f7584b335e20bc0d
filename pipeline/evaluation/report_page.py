"""The report as one HTML file that opens from disk and asks the network for nothing."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from pipeline.evaluation.charts import Curve
from pipeline.evaluation.comparison import Picture, to_image
from pipeline.evaluation.interpolation import BASELINE
from pipeline.evaluation.measurement import BY_KEY, METRICS, PER_IMAGE, Figures, Metric
from pipeline.evaluation.pairs import spread
from pipeline.evaluation.plane import Plane, chart_planes
from pipeline.evaluation.statistics import Comparison, Interval
from pipeline.files import write_text

PICTURE_CHARACTERS = 11_000_000
"""What the pictures may take of the page: with the tables it stays under 15 MB."""
QUALITIES = (92, 85, 75, 60, 40)
"""JPEG's, without subsampling of colour, which would blur every version's lines alike."""


@dataclass(frozen=True)
class Notice:
    """Something the reader has to know before the figures; grave ones are red."""

    title: str
    text: str
    grave: bool = False


@dataclass(frozen=True)
class ImageFigures:
    """An image's figures: method → metric → value."""

    name: str
    link: str
    """address of its post; anything but http(s) is not linked"""
    figures: Figures


@dataclass(frozen=True)
class Report:
    """All that the page shows."""

    scale: int
    split: str
    border: int
    models: Sequence[str]
    """the trained generator is the first"""
    means: Figures
    images: Sequence[ImageFigures]
    pictures: Sequence[Picture]
    plane: Plane
    ranked_by: Metric
    """decided which pictures are shown"""
    worst: Sequence[Picture] = ()
    """where the trained generator is worst"""
    intervals: Mapping[str, Mapping[str, Interval]] = field(default_factory=dict)
    """method → metric of an image → the mean's interval"""
    comparisons: Sequence[Comparison] = ()
    curves: Sequence[Curve] = ()
    summaries: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    notices: Sequence[Notice] = ()


def write_page(path: Path, report: Report) -> None:
    """Write the page of `report` to `path`."""
    environment = Environment(
        loader=PackageLoader("pipeline.evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"words": _words, "number": _number}
    loader = environment.loader
    assert loader is not None
    css, script = (
        Markup(loader.get_source(environment, name)[0])  # noqa: S704  # our own files
        for name in ("page.css", "page.js")
    )
    page = environment.get_template("page.html.j2")
    write_text(path, page.render(css=css, script=script, **_content(report)).strip() + "\n")


def _content(report: Report) -> dict[str, Any]:
    first = next(iter(report.means.values()))
    metrics = [metric for metric in METRICS if metric.key in first]
    image_metrics = [BY_KEY[key] for key in PER_IMAGE if key in first]
    levels = {key: f"{key.removeprefix('swd_')}" for key in first if key.startswith("swd_")}
    level_metrics = [Metric(key, side, BY_KEY["swd"].digits, False) for key, side in levels.items()]
    pictures, worst = _shown_pictures(report)
    return {
        "title": f"Anime illustrations, enlarged {report.scale}×",
        "lead": _lead(report),
        "scale": report.scale,
        "split": report.split,
        "border": report.border,
        "models": report.models,
        "baseline": BASELINE,
        "notices": report.notices,
        "ranked_by": report.ranked_by.name,
        "pictures": pictures,
        "worst": worst,
        "left_out": len(report.pictures) - len(pictures) + len(report.worst) - len(worst),
        "image_count": len(report.images),
        "metrics": metrics,
        "table": _table(report.means, metrics, report.intervals),
        "levels": list(levels.values()),
        "level_table": _table(report.means, level_metrics, {}),
        "differences": _differences(report, image_metrics),
        "planes": chart_planes(report.plane),
        "blended": any(report.plane.curves),
        "image_metrics": image_metrics,
        "rows": _rows(report, image_metrics),
        "curves": report.curves,
        "summaries": report.summaries,
        "provenance": report.provenance,
        "params": report.params,
    }


def _lead(report: Report) -> list[str]:
    """What was found, in sentences."""
    model, baseline = report.means[report.models[0]], report.means[BASELINE]
    gain = model["psnr_y"] - baseline["psnr_y"]
    distortion = (
        f"Over {len(report.images)} images of the {report.split} split, the trained generator "
        f"reaches {model['psnr_y']:.2f} dB (PSNR of Y); bicubic interpolation reaches "
        f"{baseline['psnr_y']:.2f} dB. Pixel by pixel it lies {abs(gain):.2f} dB "
        f"{'nearer to' if gain >= 0 else 'further from'} the originals."
    )
    metric = BY_KEY["lpips" if "lpips" in model else "swd"]
    ours, theirs = (metric.text(figures[metric.key]) for figures in (model, baseline))
    nearer = "nearer to" if model[metric.key] <= baseline[metric.key] else "further from"
    perception = (
        f"By {metric.name}, a measure of how different images look, its results are {nearer} the "
        f"originals: {ours} against {theirs}, where 0 is the same."
    )
    return [distortion, perception]


def _table(
    means: Figures, metrics: Sequence[Metric], intervals: Mapping[str, Mapping[str, Interval]]
) -> list[Any]:
    best = {
        metric.key: metric.best(row[metric.key] for row in means.values()) for metric in metrics
    }
    return [
        {
            "method": method,
            "cells": [
                {
                    "text": metric.text(row[metric.key]),
                    "best": round(row[metric.key], metric.digits) == best[metric.key],
                    "range": _range(intervals.get(method, {}).get(metric.key), metric),
                }
                for metric in metrics
            ],
        }
        for method, row in means.items()
    ]


def _range(interval: Interval | None, metric: Metric) -> str:
    return f"{metric.text(interval.low)}–{metric.text(interval.high)}" if interval else ""


def _differences(report: Report, metrics: Sequence[Metric]) -> list[Any]:
    """The trained generator against each other method, by each metric of an image."""
    model = report.models[0]
    found: dict[str, dict[str, Any]] = {}
    for one in report.comparisons:
        if model in (one.method, one.other):
            sign = 1 if one.method == model else -1
            metric, apart = BY_KEY[one.metric], one.difference
            low, high = sorted((sign * apart.low, sign * apart.high))
            found.setdefault(one.other if sign == 1 else one.method, {})[one.metric] = {
                "text": f"{sign * apart.mean:+.{metric.digits}f}",
                "range": f"{low:+.{metric.digits}f} to {high:+.{metric.digits}f}",
                "p": "p < .001" if one.p < 0.001 else f"p = {one.p:.3f}",
                "better": metric.gain(sign * apart.mean, 0) > 0 and one.p < 0.05,
            }
    return [
        {"method": method, "cells": [cells[metric.key] for metric in metrics]}
        for method, cells in found.items()
    ]


def _rows(report: Report, metrics: Sequence[Metric]) -> list[Any]:
    return [
        {
            "name": image.name,
            "link": image.link if image.link.startswith(("https://", "http://")) else "",
            "method": method,
            "cells": [metric.text(figures[metric.key]) for metric in metrics],
        }
        for image in report.images
        for method, figures in image.figures.items()
    ]


def _shown_pictures(report: Report) -> list[list[Any]]:
    """Pictures and worst cases at the highest quality that fits, fewer of both where none does."""
    for quality in QUALITIES:
        shown = [
            [_shown_picture(picture, quality) for picture in some]
            for some in (report.pictures, report.worst)
        ]
        characters = sum(_characters(picture) for some in shown for picture in some)
        if characters <= PICTURE_CHARACTERS:
            return shown
    share = PICTURE_CHARACTERS / characters
    return [
        [some[index] for index in spread(len(some), max(1, int(len(some) * share)))]
        for some in shown
    ]


def _characters(shown: Mapping[str, Any]) -> int:
    return sum(len(version["whole"]) + len(version["detail"]) for version in shown["versions"])


def _shown_picture(picture: Picture, quality: int) -> dict[str, Any]:
    height, width = picture.versions["original"].shape[-2:]
    box = picture.box
    versions = []
    for name, pixels in picture.versions.items():
        figures = picture.figures.get(name, {})
        versions.append(
            {
                "name": name,
                "whole": _data_uri(to_image(pixels), "JPEG", quality=quality, subsampling=0),
                "detail": _data_uri(to_image(picture.detail(name)), "WEBP", lossless=True),
                "caption": ", ".join(
                    f"{caption.name} {caption.text(figures[caption.key])}"
                    for caption in picture.captions
                    if caption.key in figures
                ),
            }
        )
    return {
        "name": picture.name,
        "metrics": [caption.name for caption in picture.captions],
        "width": width,
        "height": height,
        "detail": box.right - box.left,
        "box": {
            "left": round(100 * box.left / width, 2),
            "top": round(100 * box.top / height, 2),
            "width": round(100 * (box.right - box.left) / width, 2),
            "height": round(100 * (box.bottom - box.top) / height, 2),
        },
        "versions": versions,
    }


def _data_uri(image: Image.Image, kind: Literal["JPEG", "WEBP"], **options: Any) -> str:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    text = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f"data:image/{kind.lower()};base64,{text}"


def _words(key: object) -> str:
    return str(key).replace("_", " ")


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.6g}"
