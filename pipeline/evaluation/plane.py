"""The perception-distortion plane (Blau & Michaeli 2018): a point a method, both axes errors."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.evaluation.charts import Frame, Label, place_labels, widened
from pipeline.files import atomic_path

MODEL_COLOUR = "#b3401f"
OTHER_COLOUR = "#5b6472"
INK = "#20242b"
PERCEPTION = {"lpips": "LPIPS (AlexNet)", "swd": "Sliced Wasserstein distance"}
"""What may stand on the vertical axis, and its name there; both are smaller where better."""


@dataclass(frozen=True)
class Point:
    """A method on the plane: its means over the images."""

    method: str
    rmse: float
    """root of the mean squared error of Y over all images, levels of 255"""
    psnr_y: float
    perception: dict[str, float]
    """some of `PERCEPTION`'s keys → value"""
    is_model: bool


def write_points(path: Path, points: Sequence[Point]) -> None:
    """Write `plane.csv`: method, rmse, psnr_y, then the perceptual distances that were measured."""
    measured = [key for key in PERCEPTION if key in points[0].perception]
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["method", "rmse", "psnr_y", *measured])
        for point in points:
            distances = [point.perception[key] for key in measured]
            writer.writerow([point.method, point.rmse, point.psnr_y, *distances])


def draw_plane(path: Path, points: Sequence[Point]) -> None:
    """Draw `plane.png`: a panel for each perceptual distance that was measured."""
    measured = [key for key in PERCEPTION if key in points[0].perception]
    figure = Figure(figsize=(5.6 * len(measured), 4.8), dpi=120, layout="constrained")
    for axes, key in zip(
        figure.subplots(1, len(measured), squeeze=False)[0], measured, strict=True
    ):
        _draw_panel(axes, points, key)
    figure.suptitle("Distortion against perception")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")


@dataclass(frozen=True)
class Dot:
    """A point of a chart, in pixels."""

    x: float
    y: float
    label: Label
    name: str
    tip: str
    ours: bool


@dataclass(frozen=True)
class PlaneChart:
    """The plane with one perceptual distance, ready to be drawn on a page."""

    title: str
    description: str
    frame: Frame
    dots: list[Dot]


def chart_planes(points: Sequence[Point]) -> list[PlaneChart]:
    """A chart for each perceptual distance that was measured."""
    return [_chart(points, key) for key in PERCEPTION if key in points[0].perception]


def _chart(points: Sequence[Point], key: str) -> PlaneChart:
    values = [point.perception[key] for point in points]
    across = widened([point.rmse for point in points], 0.25)
    frame = Frame(400, 320, across, widened(values, 0.2), top=34, bottom=48)
    places = [
        (frame.x(point.rmse), frame.y(value)) for point, value in zip(points, values, strict=True)
    ]
    labels = place_labels(places, [point.method for point in points], (frame.left, frame.width), 16)
    tips = [
        f"{point.method}: RMSE {point.rmse:.2f} ({point.psnr_y:.2f} dB), {key.upper()} {value:.4f}"
        for point, value in zip(points, values, strict=True)
    ]
    dots = [
        Dot(x, y, label, point.method, tip, point.is_model)
        for point, (x, y), label, tip in zip(points, places, labels, tips, strict=True)
    ]
    return PlaneChart(PERCEPTION[key], "; ".join(tips), frame, dots)


def _draw_panel(axes: Axes, points: Sequence[Point], key: str) -> None:
    axes.set_xlim(*widened([point.rmse for point in points], 0.25))
    axes.set_ylim(*widened([point.perception[key] for point in points], 0.2))
    axes.set_xlabel("← better    distortion: RMSE of Y, levels of 255")
    axes.set_ylabel(f"← better    perception: {PERCEPTION[key]}")
    axes.grid(color="#e3e6ea")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.figure.canvas.draw()
    for point in points:
        colour = MODEL_COLOUR if point.is_model else OTHER_COLOUR
        axes.plot(point.rmse, point.perception[key], "o", color=colour, markersize=8)
    _name_points(axes, points, key)


def _name_points(axes: Axes, points: Sequence[Point], key: str) -> None:
    box = axes.bbox
    places = axes.transData.transform([(point.rmse, point.perception[key]) for point in points])
    inside = [(float(x - box.x0), float(box.y1 - y)) for x, y in places]
    labels = place_labels(inside, [point.method for point in points], (0, box.width), 22)
    for point, label, (x, y) in zip(points, labels, inside, strict=True):
        colour = MODEL_COLOUR if point.is_model else INK
        line = {"arrowstyle": "-", "color": OTHER_COLOUR, "linewidth": 0.6} if label.moved else None
        axes.annotate(
            point.method,
            (point.rmse, point.perception[key]),
            xytext=(label.x - x, y - label.y),
            textcoords="offset pixels",
            horizontalalignment="right" if label.on_left else "left",
            verticalalignment="center",
            color=colour,
            arrowprops=line,
        )
