"""Names beside the points of a chart, clear of each other, of the points and of their lines."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

CHARACTER = 0.5
"""Width of a letter over the height of a line, about."""
MOST_LINES = 7
# How bad they are: each square of text that is covered twice, a line that crosses another or leads
# over a name or a point, a line of text away from the point, a name that does not fit.
OVERLAP, CROSSING, AWAY, OUTSIDE = 4.0, 4.0, 0.1, 1000.0
ROUNDS = 8

Place = tuple[float, float]


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

    def holds(self, place: Place) -> bool:
        return self.left < place[0] < self.right and self.top < place[1] < self.bottom


@dataclass(frozen=True)
class _Choice:
    """A label that a point may have, what it covers, and the line between the two, if any."""

    label: Label
    box: _Box
    line: tuple[Place, Place] | None
    away: float

    def covers(self, line: tuple[Place, Place] | None) -> bool:
        return line is not None and any(self.box.holds(place) for place in _along(line))


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
    it. Each in turn takes the least bad place beside the others, until none moves any more.
    """
    dots = [_around(point, text) for point in (*points, *unnamed)]
    choices = [
        list(_choices(point, CHARACTER * text * len(name), text))
        for point, name in zip(points, names, strict=True)
    ]
    taken = [own[0] for own in choices]
    for _ in range(ROUNDS):
        before = list(taken)
        for index, own in enumerate(choices):
            labels = taken[:index] + taken[index + 1 :]
            clear_of = dots[:index] + dots[index + 1 :]
            badness = [_badness(choice, labels, clear_of, area, text) for choice in own]
            taken[index] = own[badness.index(min(badness))]
        if taken == before:
            break
    return [choice.label for choice in taken]


def _choices(point: Place, long: float, text: float) -> Iterator[_Choice]:
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
                yield _Choice(label, box, line, abs(lines) + aside - 1)


def _badness(
    choice: _Choice,
    labels: Sequence[_Choice],
    dots: Sequence[_Box],
    area: tuple[float, float, float, float],
    text: float,
) -> float:
    box = choice.box
    outside = box.left < area[0] or box.top < area[1] or box.right > area[2] or box.bottom > area[3]
    others = [*dots, *(other.box for other in labels)]
    overlaps = sum(box.overlap(other) for other in others) / text**2
    crossings = sum(
        choice.covers(other.line) + other.covers(choice.line) + _cross(choice.line, other.line)
        for other in labels
    )
    if choice.line is not None:
        crossings += sum(any(map(dot.holds, _along(choice.line))) for dot in dots)
    return OVERLAP * overlaps + CROSSING * crossings + AWAY * choice.away + OUTSIDE * outside


def _around(point: Place, side: float) -> _Box:
    x, y = point
    return _Box(x - side / 2, y - side / 2, x + side / 2, y + side / 2)


def _along(line: tuple[Place, Place]) -> list[Place]:
    """Places on a line, close enough together to meet every label or point in its way."""
    (x0, y0), (x1, y1) = line
    shares = [step / 24 for step in range(4, 25)]
    return [(x0 + share * (x1 - x0), y0 + share * (y1 - y0)) for share in shares]


def _cross(one: tuple[Place, Place] | None, other: tuple[Place, Place] | None) -> bool:
    if one is None or other is None:
        return False
    return _parts(one, other) and _parts(other, one)


def _parts(line: tuple[Place, Place], ends: tuple[Place, Place]) -> bool:
    """Whether the two ends lie on different sides of the line."""
    (x0, y0), (x1, y1) = line
    sides = [(x1 - x0) * (y - y0) - (y1 - y0) * (x - x0) for x, y in ends]
    return sides[0] * sides[1] < 0
