"""Names beside the points of a chart, clear of each other, of the points and of their lines."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

CHARACTER = 0.5
"""Width of a letter over the height of a line, about."""
MOST_LINES = 7
# How bad they are: each square of text that is covered twice, a line that crosses another or leads
# over a name or a point, a line of text away from the point, a name that does not fit.
OVERLAP, CROSSING, AWAY, OUTSIDE = 4.0, 4.0, 0.1, 1000.0
ROUNDS = 8

Place = tuple[float, float]
Line = tuple[Place, Place]


@dataclass(frozen=True)
class Label:
    """Where a point's name begins, or ends if it stands left of it; `y` is its middle."""

    x: float
    y: float
    on_left: bool
    moved: bool
    """so far that a line has to tell whose name it is"""


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

    def within(self, area: tuple[float, float, float, float]) -> bool:
        left, top, right, bottom = area
        return (
            self.left >= left and self.top >= top and self.right <= right and self.bottom <= bottom
        )

    def meets(self, line: Line | None) -> bool:
        """Whether a line leads over it, but for the line's first sixth."""
        return line is not None and any(
            self.left < x < self.right and self.top < y < self.bottom for x, y in _along(line)
        )


@dataclass(frozen=True)
class _Choice:
    """A label that a point may have, what it covers, and the line between the two, if any."""

    label: Label
    box: _Box
    line: Line | None
    badness: float
    """of itself and the points, whatever the other labels are"""


def place_labels(
    points: Sequence[Place],
    names: Sequence[str],
    area: tuple[float, float, float, float],
    text: float,
    unnamed: Sequence[Place] = (),
) -> list[Label]:
    """A label for each point (x, y), inside `area` (left, top, right, bottom), all in pixels.

    `text` is the height of a line of text. A label stands right or left of its point; where that is
    taken, by another or by a point of `unnamed`, it moves up or down and aside, and a line leads to
    it. Each in turn takes the least bad place beside the others, until none moves any more; of
    several orders to begin in the one that ends best counts.
    """
    dots = [_around(point, text) for point in (*points, *unnamed)]
    choices = []
    for index, (point, name) in enumerate(zip(points, names, strict=True)):
        clear_of = dots[:index] + dots[index + 1 :]
        found = _choices(point, CHARACTER * text * len(name), text, clear_of, area)
        choices.append(sorted(found, key=lambda choice: choice.badness))
    orders = [[*range(first, len(points)), *range(first)] for first in range(0, len(points), 3)]
    ends = [_settled(choices, order, text) for order in orders]
    least = min(ends, key=lambda end: end[1], default=([], 0.0))
    return [choice.label for choice in least[0]]


def _settled(
    choices: Sequence[Sequence[_Choice]], order: Sequence[int], text: float
) -> tuple[list[_Choice], float]:
    """Where the labels end, each in this order taking its best place, and how bad it all is."""
    taken = [own[0] for own in choices]
    for _ in range(ROUNDS):
        before = list(taken)
        for index in order:
            others = taken[:index] + taken[index + 1 :]
            taken[index] = _best(choices[index], others, text)
        if taken == before:
            break
    pairs = sum(_between(one, other, text) for one, other in combinations(taken, 2))
    return taken, sum(choice.badness for choice in taken) + pairs


def _best(own: Sequence[_Choice], others: Sequence[_Choice], text: float) -> _Choice:
    best, least = own[0], math.inf
    for choice in own:
        if choice.badness >= least:
            break
        badness = choice.badness + sum(_between(choice, other, text) for other in others)
        if badness < least:
            best, least = choice, badness
    return best


def _choices(
    point: Place,
    long: float,
    text: float,
    dots: Sequence[_Box],
    area: tuple[float, float, float, float],
) -> Iterator[_Choice]:
    """Where a point's label may stand, the nearest first."""
    x, y = point
    for lines in sorted(range(-MOST_LINES, MOST_LINES + 1), key=abs):
        for aside in (1, 3, 5) if lines else (1,):
            for on_left in (False, True):
                start = x + aside * (-text if on_left else text)
                middle = y + lines * text
                left = start - long if on_left else start
                box = _Box(left, middle - text / 2, left + long, middle + text / 2)
                line = (point, (start, middle)) if lines else None
                label = Label(round(start, 2), round(middle, 2), on_left, lines != 0)
                badness = AWAY * (abs(lines) + aside - 1) + OUTSIDE * (not box.within(area))
                badness += OVERLAP * sum(map(box.overlap, dots)) / text**2
                badness += CROSSING * sum(dot.meets(line) for dot in dots)
                yield _Choice(label, box, line, badness)


def _between(one: _Choice, other: _Choice, text: float) -> float:
    """How bad it is that two labels stand where they do."""
    crossings = one.box.meets(other.line) + other.box.meets(one.line) + _cross(one.line, other.line)
    return OVERLAP * one.box.overlap(other.box) / text**2 + CROSSING * crossings


def _around(point: Place, side: float) -> _Box:
    x, y = point
    return _Box(x - side / 2, y - side / 2, x + side / 2, y + side / 2)


def _along(line: Line) -> list[Place]:
    """Places on a line, close enough together to meet every label or point in its way."""
    (x0, y0), (x1, y1) = line
    shares = [step / 24 for step in range(4, 25)]
    return [(x0 + share * (x1 - x0), y0 + share * (y1 - y0)) for share in shares]


def _cross(one: Line | None, other: Line | None) -> bool:
    if one is None or other is None:
        return False
    return _parts(one, other) and _parts(other, one)


def _parts(line: Line, ends: Line) -> bool:
    """Whether the two ends lie on different sides of the line."""
    (x0, y0), (x1, y1) = line
    sides = [(x1 - x0) * (y - y0) - (y1 - y0) * (x - x0) for x, y in ends]
    return sides[0] * sides[1] < 0
