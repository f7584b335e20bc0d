"""Line charts of the report page: data to pixels, ticks, polylines.

The page's template draws them. A matplotlib figure of the same curve, as of the plane, is an SVG
three times as large, and a page has dozens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from matplotlib.ticker import EngFormatter, MaxNLocator

MAX_CURVE_POINTS = 400
"""Longer curves are drawn as means of neighbouring values."""

PHASE_NAME_WIDTH = 80
"""Pixels that the name of a phase takes at most, in a font of 12 pixels."""


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: its position in pixels and its text."""

    position: float
    text: str


@dataclass(frozen=True)
class Frame:
    """The geometry of a chart of `width` × `height` pixels: axis ranges and margins."""

    width: float
    height: float
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    left: float = 56
    right: float = 16
    top: float = 16
    bottom: float = 40

    def x(self, value: float) -> float:
        """Return the pixels from the left of a value on the horizontal axis."""
        low, high = self.x_range
        share = (value - low) / (high - low)
        return round(self.left + share * (self.width - self.left - self.right), 2)

    def y(self, value: float) -> float:
        """Return the pixels from the top of a value on the vertical axis, which points up."""
        low, high = self.y_range
        share = (high - value) / (high - low)
        return round(self.top + share * (self.height - self.top - self.bottom), 2)

    def x_ticks(self, max_ticks: int = 5) -> list[Tick]:
        """Return ticks at round values of the horizontal axis."""
        return [Tick(self.x(value), text) for value, text in _round_values(self.x_range, max_ticks)]

    def y_ticks(self, max_ticks: int = 5) -> list[Tick]:
        """Return ticks at round values of the vertical axis."""
        return [Tick(self.y(value), text) for value, text in _round_values(self.y_range, max_ticks)]


@dataclass(frozen=True)
class Phases:
    """The line between a training's phases and their names above it, pixels from the left."""

    line: float
    before_end: float
    """where the name of the first phase ends"""
    after_start: float
    """where the name of the second phase begins"""


@dataclass(frozen=True)
class CurveChart:
    """A training curve, ready to be drawn."""

    title: str
    unit: str
    """of the vertical axis; empty for a pure number"""
    frame: Frame
    points: str
    """pairs `x,y` in pixels, for the attribute `points` of SVG's polyline"""
    last_value: str
    smoothing: str
    """what a point of the line is"""
    phases: Phases | None = None
    """of a training with a discriminator"""


def padded_range(values: Sequence[float], padding: float) -> tuple[float, float]:
    """Return the values' range with the share `padding` of it added at both ends; never empty."""
    low, high = min(values), max(values)
    extra = (high - low) * padding or max(abs(low) * padding, 1e-6)
    return low - extra, high + extra


def curve_chart(
    title: str,
    steps: Sequence[float],
    values: Sequence[float],
    unit: str = "",
    last_step: float | None = None,
    adversarial_from: int | None = None,
) -> CurveChart:
    """Return a line chart of `values` over the steps from 0 to `last_step`, None: to their last.

    A long curve is drawn as means of neighbouring values. `adversarial_from` is the first step with
    a discriminator. Raises `ValueError` if there are no values.
    """
    if not steps:
        raise ValueError(f"{title}: no values")
    bin_size = -(-len(steps) // MAX_CURVE_POINTS)
    means = [
        (fmean(steps[start : start + bin_size]), fmean(values[start : start + bin_size]))
        for start in range(0, len(steps), bin_size)
    ]
    x_range = (0, (max(steps) if last_step is None else last_step) or 1)
    y_range = padded_range([value for _, value in means], 0.06)
    frame = Frame(360, 210, x_range, y_range, top=26, bottom=40)
    return CurveChart(
        title,
        unit,
        frame,
        points=" ".join(f"{frame.x(step)},{frame.y(value)}" for step, value in means),
        last_value=f"{values[-1]:.4g}",
        smoothing=f"means of {bin_size} logged values" if bin_size > 1 else "not smoothed",
        phases=_phases(frame, adversarial_from),
    )


def _phases(frame: Frame, adversarial_from: int | None) -> Phases | None:
    """Return where the phases are marked, or None where the axis has but one of them."""
    if not adversarial_from or adversarial_from >= frame.x_range[1]:
        return None
    line = frame.x(adversarial_from)
    # Both names stay inside the chart, in their order, where the line is near an edge.
    last_start = frame.width - PHASE_NAME_WIDTH
    before_end = min(max(line - 5, PHASE_NAME_WIDTH), last_start - 10)
    return Phases(line, before_end, min(max(line + 5, before_end + 10), last_start))


def _round_values(axis_range: tuple[float, float], max_ticks: int) -> list[tuple[float, str]]:
    low, high = axis_range
    values = [float(value) for value in MaxNLocator(nbins=max_ticks).tick_values(low, high)]
    inside = [value for value in values if low <= value <= high]
    short = EngFormatter(sep="")
    return [(value, short(value) if abs(value) >= 1e4 else f"{value:.6g}") for value in inside]
