"""The perception-distortion plane (Blau & Michaeli 2018): a point a method, both axes errors."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.evaluation.charts import Frame, padded_range
from pipeline.evaluation.labels import Label, place_labels
from pipeline.files import atomic_path, write_table

MODEL_COLOUR = "#b3401f"
OTHER_COLOUR = "#5b6472"
INK = "#20242b"
LINE = {"arrowstyle": "-", "color": OTHER_COLOUR, "linewidth": 0.6}
DPI = 120
TEXT = 19
"""height of a line of text in the drawn plane, pixels"""
PERCEPTION = {
    "lpips": "LPIPS (AlexNet)",
    "dists": "DISTS",
    "swd": "Sliced Wasserstein distance",
    "kvd": "Kernel distance (VGG16)",
}
"""What may stand on the vertical axis, and its name there; all are smaller where better."""
BOUND = math.sqrt(2)
"""At most so many times the least RMSE is enough for perfect perception (theorem 2: twice the mean
squared error, 3.01 dB of PSNR)."""


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

    @classmethod
    def from_scores(cls, method: str, scores: Mapping[str, float], is_model: bool) -> "Point":
        """The point of a method's means, by their keys in `metrics.json`."""
        perception = {key: scores[key] for key in PERCEPTION if key in scores}
        return cls(method, scores["rmse_y"], scores["psnr_y"], perception, is_model)


@dataclass(frozen=True)
class Plane:
    """The points, and which of them follow each other on curves."""

    points: Sequence[Point]
    curves: Sequence[Sequence[str]] = ()
    """methods' names in order: a blend of two generators, a sweep of a param"""

    @property
    def measured(self) -> list[str]:
        """The keys of `PERCEPTION` that every point has."""
        return [key for key in PERCEPTION if all(key in point.perception for point in self.points)]

    @property
    def bound(self) -> float:
        """RMSE within which some method of perfect perception exists, by the best one seen here."""
        return BOUND * min(point.rmse for point in self.points)

    def lines(self, key: str) -> list[list[tuple[float, float]]]:
        """Each curve as pairs of RMSE and the perceptual distance `key`."""
        by_name = {point.method: point for point in self.points}
        return [
            [(by_name[name].rmse, by_name[name].perception[key]) for name in curve]
            for curve in self.curves
        ]

    @property
    def named(self) -> list[Point]:
        """The points that need a name beside them."""
        unnamed = self.unnamed
        return [point for point in self.points if point not in unnamed]

    @property
    def unnamed(self) -> list[Point]:
        """The points whose place on a curve says who they are: all but its ends."""
        inner = {name for curve in self.curves for name in curve[1:-1]}
        return [point for point in self.points if point.method in inner]


def write_points(path: Path, plane: Plane) -> None:
    """Write `plane.csv`: method, rmse, psnr_y, curve, then the perceptual distances."""
    curve_of = {name: number for number, curve in enumerate(plane.curves, 1) for name in curve}
    rows = [
        [
            point.method,
            point.rmse,
            point.psnr_y,
            curve_of.get(point.method, ""),
            *(point.perception[key] for key in plane.measured),
        ]
        for point in plane.points
    ]
    write_table(path, ["method", "rmse", "psnr_y", "curve", *plane.measured], rows)


def draw_plane(path: Path, plane: Plane) -> None:
    """Draw the plane as `path`, PNG or SVG by its name: a panel for each perceptual distance."""
    keys = plane.measured
    columns = min(2, len(keys))
    rows = -(-len(keys) // columns)
    # The hash salt and the missing date: the same plane is the same file.
    with mpl.rc_context({"svg.hashsalt": "plane", "svg.fonttype": "none"}):
        figure = Figure(figsize=(5.6 * columns, 4.8 * rows), dpi=DPI, layout="constrained")
        panels = figure.subplots(rows, columns, squeeze=False).flatten()
        for axes, key in zip(panels, keys, strict=False):
            _draw_panel(axes, plane, key)
        for axes in panels[len(keys) :]:
            axes.set_axis_off()
        figure.suptitle("Distortion against perception")
        # Names are placed by pixels: only now do the panels have their sizes.
        figure.draw_without_rendering()
        for axes, key in zip(panels, keys, strict=False):
            _name_points(axes, plane, key)
        kind = path.suffix.removeprefix(".")
        with atomic_path(path) as temporary:
            metadata = {"Date": None} if kind == "svg" else None
            figure.savefig(temporary, format=kind, metadata=metadata)


@dataclass(frozen=True)
class Dot:
    """A point of a chart, in pixels."""

    x: float
    y: float
    label: Label | None
    """None on a curve"""
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
    lines: list[str]
    """each curve as pairs `x,y` in pixels"""
    bound: float | None
    """pixels from the left; None where it lies outside"""


def chart_planes(plane: Plane) -> list[PlaneChart]:
    """A chart for each perceptual distance that was measured."""
    return [_chart(plane, key) for key in plane.measured]


def _chart(plane: Plane, key: str) -> PlaneChart:
    points = plane.points
    across = padded_range([point.rmse for point in points], 0.25)
    down = padded_range([point.perception[key] for point in points], 0.2)
    frame = Frame(400, 320, across, down, top=34, bottom=48)
    labels = _labels(plane, key, frame)
    dots = [
        Dot(
            frame.x(point.rmse),
            frame.y(point.perception[key]),
            labels.get(point.method),
            point.method,
            f"{point.method}: RMSE {point.rmse:.2f} ({point.psnr_y:.2f} dB), "
            f"{key.upper()} {point.perception[key]:.4f}",
            point.is_model,
        )
        for point in points
    ]
    lines = [
        " ".join(f"{frame.x(rmse)},{frame.y(value)}" for rmse, value in line)
        for line in plane.lines(key)
    ]
    bound = frame.x(plane.bound) if plane.bound < across[1] else None
    description = "; ".join(dot.tip for dot in dots)
    return PlaneChart(PERCEPTION[key], description, frame, dots, lines, bound)


def _labels(plane: Plane, key: str, frame: Frame) -> dict[str, Label]:
    """The name of each point that needs one → where it stands."""

    def places(points: Sequence[Point]) -> list[tuple[float, float]]:
        return [(frame.x(point.rmse), frame.y(point.perception[key])) for point in points]

    named = plane.named
    names = [point.method for point in named]
    box = (frame.left, 0, frame.width, frame.height - frame.bottom)
    labels = place_labels(places(named), names, box, 16, places(plane.unnamed))
    return dict(zip(names, labels, strict=True))


def _draw_panel(axes: Axes, plane: Plane, key: str) -> None:
    points = plane.points
    axes.set_xlim(*padded_range([point.rmse for point in points], 0.25))
    axes.set_ylim(*padded_range([point.perception[key] for point in points], 0.2))
    axes.set_xlabel("← better    distortion: RMSE of Y, levels of 255")
    axes.set_ylabel(f"← better    perception: {PERCEPTION[key]}")
    axes.grid(color="#e3e6ea")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if plane.bound < axes.get_xlim()[1]:
        axes.axvline(plane.bound, color=OTHER_COLOUR, linestyle="--", linewidth=0.8)
    for line in plane.lines(key):
        axes.plot(*zip(*line, strict=True), color=MODEL_COLOUR, linewidth=1)
    unnamed = plane.unnamed
    for point in points:
        colour = MODEL_COLOUR if point.is_model else OTHER_COLOUR
        size = 5 if point in unnamed else 8
        axes.plot(point.rmse, point.perception[key], "o", color=colour, markersize=size)


def _name_points(axes: Axes, plane: Plane, key: str) -> None:
    box, named = axes.bbox, plane.named
    inside = _pixels(axes, named, key)
    labels = place_labels(
        inside,
        [point.method for point in named],
        (0, 0, box.width, box.height),
        TEXT,
        _pixels(axes, plane.unnamed, key),
    )
    for point, label, (x, y) in zip(named, labels, inside, strict=True):
        colour = MODEL_COLOUR if point.is_model else INK
        line = LINE | {"relpos": (1.0 if label.on_left else 0.0, 0.5)} if label.moved else None
        text = axes.annotate(
            point.method,
            (point.rmse, point.perception[key]),
            # Points, not pixels: an SVG has fewer of those to the inch.
            xytext=((label.x - x) * 72 / DPI, (y - label.y) * 72 / DPI),
            textcoords="offset points",
            horizontalalignment="right" if label.on_left else "left",
            verticalalignment="center",
            color=colour,
            arrowprops=line,
        )
        # Long names must not squeeze the panels.
        text.set_in_layout(False)


def _pixels(axes: Axes, points: Sequence[Point], key: str) -> list[tuple[float, float]]:
    """Where points are drawn, from the panel's upper left corner."""
    box = axes.bbox
    return [
        (float(x - box.x0), float(box.y1 - y))
        for x, y in (axes.transData.transform((p.rmse, p.perception[key])) for p in points)
    ]
