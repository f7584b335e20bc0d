"""Names beside points: inside, legible, and a line where they are far."""

from itertools import combinations

import numpy as np
import pytest

from pipeline.evaluation.labels import CHARACTER, Label, place_labels

AREA = (0, 0, 300, 200)
TEXT = 10
NAME = "bicubic"


def boxes(labels: list[Label]) -> list[tuple[float, float, float, float]]:
    long = CHARACTER * TEXT * len(NAME)
    starts = [label.x - long if label.on_left else label.x for label in labels]
    return [
        (start, label.y - TEXT / 2, start + long, label.y + TEXT / 2)
        for start, label in zip(starts, labels, strict=True)
    ]


def overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return all(one[i] < other[i + 2] and other[i] < one[i + 2] for i in (0, 1))


def holds(box: tuple[float, ...], x: float, y: float) -> bool:
    return box[0] < x < box[2] and box[1] < y < box[3]


def test_labels_stand_beside_their_points() -> None:
    left, right = place_labels([(10, 50), (290, 60)], [NAME] * 2, AREA, TEXT)
    assert left == Label(20, 50, on_left=False, moved=False)
    assert right == Label(280, 60, on_left=True, moved=False)


def test_a_label_keeps_clear_of_a_point_without_name() -> None:
    (label,) = place_labels([(100, 50)], [NAME], AREA, TEXT, unnamed=[(120, 50), (80, 50)])
    assert label.moved
    assert label.y != 50


def test_labels_of_one_place_are_apart() -> None:
    labels = place_labels([(150, 100)] * 4, [NAME] * 4, AREA, TEXT)
    assert not any(overlap(*pair) for pair in combinations(boxes(labels), 2))


@pytest.mark.parametrize("seed", range(10))
def test_a_crowd_can_be_read(seed: int) -> None:
    random = np.random.default_rng(seed)
    points = [(float(x), float(y)) for x, y in random.uniform((40, 40), (260, 160), (12, 2))]
    labels = place_labels(points, [NAME] * 12, AREA, TEXT)
    placed = boxes(labels)
    assert not any(overlap(*pair) for pair in combinations(placed, 2))
    assert not any(holds(box, *point) for box in placed for point in points)
    assert all(
        left >= 0 and top >= 0 and right <= 300 and bottom <= 200
        for left, top, right, bottom in placed
    )
    for (_, y), label in zip(points, labels, strict=True):
        assert label.moved == (abs(label.y - y) > TEXT / 2)


def test_the_place_of_a_label_is_the_same_each_time() -> None:
    points = [(100, 100), (105, 103), (98, 97), (110, 100)]
    first, second = (place_labels(points, [NAME] * 4, AREA, TEXT) for _ in range(2))
    assert first == second
