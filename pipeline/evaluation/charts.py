"""Where things go in a chart: data to pixels, ticks, and labels that keep clear of each other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from matplotlib.ticker import EngFormatter, MaxNLocator

CURVE_POINTS = 400
CHARACTER = 0.5
"""Width of a letter over the height of a line, about."""


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
class Label:
    """Where a point's name stands: beside it, moved up or down where names would overlap."""

    x: float
    y: float
    on_left: bool
    moved: bool
    """so far that a line has to tell whose name it is"""


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


def place_labels(
    points: Sequence[tuple[float, float]],
    names: Sequence[str],
    span: tuple[float, float],
    text: float,
) -> list[Label]:
    """A label for each point (x, y): clear of all points and other labels, inside `span` of x.

    `text` is the height of a line of text, pixels. A label stands right or left of its point, and
    a line or more higher or lower where that is taken; where all is taken, at the least bad place.
    """
    dots = [_Box(x - text / 2, y - text / 2, x + text / 2, y + text / 2) for x, y in points]
    labels: list[Label] = []
    taken: list[_Box] = []
    for index, ((x, y), name) in enumerate(zip(points, names, strict=True)):
        others = [*dots[:index], *dots[index + 1 :], *taken]
        long = CHARACTER * text * len(name)

        def badness(place: tuple[Label, _Box], others: list[_Box] = others) -> float:
            outside = place[1].left < span[0] or place[1].right > span[1]
            return sum(place[1].overlap(other) for other in others) + 1e6 * outside

        label, box = min(_places(x, y, long, text), key=badness)
        labels.append(label)
        taken.append(box)
    return labels


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


@dataclass(frozen=True)
class _Box:
    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: "_Box") -> float:
        across = min(self.right, other.right) - max(self.left, other.left)
        down = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(across, 0) * max(down, 0)


def _places(x: float, y: float, long: float, text: float) -> Iterator[tuple[Label, _Box]]:
    """Where a point's label may stand, the best first, and what it then covers."""
    for lines in (0, -1, 1, -2, 2, -3, 3):
        for on_left in (False, True):
            start = x + (-text if on_left else text)
            middle = y + lines * text
            left = start - long if on_left else start
            box = _Box(left, middle - text / 2, left + long, middle + text / 2)
            yield Label(round(start, 2), round(middle, 2), on_left, lines != 0), box


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
