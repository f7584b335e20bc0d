"""Geometry of the charts."""

from itertools import pairwise

import pytest

from pipeline.evaluation.charts import CURVE_POINTS, Frame, curve, place_labels, widened


@pytest.fixture
def frame() -> Frame:
    return Frame(200, 100, (0, 10), (0, 1), left=50, right=10, top=10, bottom=20)


def test_data_fills_what_the_margins_leave(frame):
    assert (frame.x(0), frame.x(10)) == (50, 190)
    assert (frame.y(0), frame.y(1)) == (80, 10)
    assert frame.x(5) == 120


def test_ticks_are_round_and_inside(frame):
    assert [tick.text for tick in frame.x_ticks()] == ["0", "2", "4", "6", "8", "10"]
    assert [tick.at for tick in frame.y_ticks(2)] == [80, 45, 10]


def test_large_ticks_are_short():
    frame = Frame(200, 100, (0, 200_000), (0, 1))
    assert [tick.text for tick in frame.x_ticks(4)] == ["0", "50k", "100k", "150k", "200k"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [([2, 4], (1.5, 4.5)), ([4], (3, 5)), ([0, 0], (-1e-6, 1e-6))],
)
def test_widened_is_never_empty(values, expected):
    assert widened(values, 0.25) == pytest.approx(expected)


def test_labels_stand_beside_their_points():
    left, right = place_labels([(10, 50), (190, 60)], width=200, gap=16)
    assert (left.x, left.y, left.on_left, left.moved) == (22, 50, False, False)
    assert (right.x, right.y, right.on_left, right.moved) == (178, 60, True, False)


def test_labels_of_near_points_are_pushed_apart():
    points = [(10, 50), (20, 52), (15, 48), (12, 100)]
    labels = place_labels(points, width=200, gap=16)
    heights = sorted(label.y for label in labels)
    assert all(later - earlier >= 16 for earlier, later in pairwise(heights))
    # In the order of the points, about their middle; the far one is left alone.
    assert [label.y for label in labels] == [50, 66, 34, 100]
    assert [label.moved for label in labels] == [False, True, True, False]


def test_clusters_that_meet_become_one():
    labels = place_labels([(0, 0), (0, 10), (0, 20), (0, 30)], width=100, gap=20)
    assert [label.y for label in labels] == [-15, 5, 25, 45]


def test_a_curve_goes_through_its_values():
    drawn = curve("loss", [0, 10, 20], [3, 1, 2])
    pairs = [tuple(map(float, pair.split(","))) for pair in drawn.points.split()]
    expected = [(drawn.frame.x(s), drawn.frame.y(v)) for s, v in ((0, 3), (10, 1), (20, 2))]
    assert pairs == expected
    assert (drawn.title, drawn.last) == ("loss", "2")


def test_a_long_curve_is_of_means_and_says_so():
    steps = list(range(4 * CURVE_POINTS))
    drawn = curve("loss", steps, [step % 4 for step in steps])
    assert drawn.title == "loss (means of 4)"
    assert len(drawn.points.split()) == CURVE_POINTS
    assert {pair.split(",")[1] for pair in drawn.points.split()} == {str(drawn.frame.y(1.5))}


def test_a_curve_of_one_value():
    drawn = curve("loss", [100], [0.5])
    assert drawn.points == f"{drawn.frame.x(100)},{drawn.frame.y(0.5)}"


def test_a_curve_of_nothing_is_refused():
    with pytest.raises(ValueError, match="loss: no values"):
        curve("loss", [], [])
