"""Where things go in a chart: data to pixels, ticks, curves."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.ticker import EngFormatter, MaxNLocator

CURVE_POINTS = 400


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: where, in pixels, and what it says."""

    at: float
    text: str


@dataclass(frozen=True)
class Frame:
    """A chart of `width` × `height` pixels; the data's ranges fill what the margins leave."""

    width: float
    height: float
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    left: float = 56
    right: float = 16
    top: float = 16
    bottom: float = 40

    def x(self, value: float) -> float:
        """Pixels from the left of a value on the horizontal axis."""
        low, high = self.x_range
        share = (value - low) / (high - low)
        return round(self.left + share * (self.width - self.left - self.right), 2)

    def y(self, value: float) -> float:
        """Pixels from the top of a value on the vertical axis, which grows upwards."""
        low, high = self.y_range
        share = (high - value) / (high - low)
        return round(self.top + share * (self.height - self.top - self.bottom), 2)

    def x_ticks(self, most: int = 5) -> list[Tick]:
        """Marks at round values of the horizontal axis."""
        return [Tick(self.x(value), text) for value, text in _round_values(self.x_range, most)]

    def y_ticks(self, most: int = 5) -> list[Tick]:
        """Marks at round values of the vertical axis."""
        return [Tick(self.y(value), text) for value, text in _round_values(self.y_range, most)]


@dataclass(frozen=True)
class Curve:
    """A training curve, ready to be drawn."""

    title: str
    frame: Frame
    points: str
    """pairs `x,y` in pixels, as SVG's polyline has them"""
    last: str


def widened(values: Sequence[float], share: float) -> tuple[float, float]:
    """The values' range with `share` of it added at both ends; never empty."""
    low, high = min(values), max(values)
    extra = (high - low) * share or max(abs(low) * share, 1e-6)
    return low - extra, high + extra


def curve(title: str, steps: Sequence[float], values: Sequence[float]) -> Curve:
    """A line chart of `values` over `steps`; long ones as means of neighbours, told in the title.

    Raises `ValueError` where there is nothing to draw.
    """
    if not steps:
        raise ValueError(f"{title}: no values")
    together = -(-len(steps) // CURVE_POINTS)
    means = [
        (_mean(steps[at : at + together]), _mean(values[at : at + together]))
        for at in range(0, len(steps), together)
    ]
    shown = [value for _, value in means]
    x_range = (min(steps), max(steps)) if len(set(steps)) > 1 else widened(steps, 0.5)
    frame = Frame(360, 190, x_range, widened(shown, 0.06), top=8, bottom=26)
    points = " ".join(f"{frame.x(step)},{frame.y(value)}" for step, value in means)
    suffix = f" (means of {together})" if together > 1 else ""
    return Curve(title + suffix, frame, points, f"{values[-1]:.4g}")


def _round_values(span: tuple[float, float], most: int) -> list[tuple[float, str]]:
    low, high = span
    values = [float(value) for value in MaxNLocator(nbins=most).tick_values(low, high)]
    inside = [value for value in values if low <= value <= high]
    large = EngFormatter(sep="")
    return [(value, large(value) if abs(value) >= 1e4 else f"{value:.6g}") for value in inside]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
