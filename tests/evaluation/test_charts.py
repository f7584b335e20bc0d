"""Geometry of the charts."""

import pytest

from pipeline.evaluation.charts import (
    MAX_CURVE_POINTS,
    PHASE_NAME_WIDTH,
    Frame,
    curve_chart,
    padded_range,
)


@pytest.fixture
def frame() -> Frame:
    return Frame(200, 100, (0, 10), (0, 1), left=50, right=10, top=10, bottom=20)


def test_data_fills_what_the_margins_leave(frame):
    assert (frame.x(0), frame.x(10)) == (50, 190)
    assert (frame.y(0), frame.y(1)) == (80, 10)
    assert frame.x(5) == 120


def test_ticks_are_round_and_inside(frame):
    assert [tick.text for tick in frame.x_ticks()] == ["0", "2", "4", "6", "8", "10"]
    assert [tick.position for tick in frame.y_ticks(2)] == [80, 45, 10]


def test_large_ticks_are_short():
    frame = Frame(200, 100, (0, 200_000), (0, 1))
    assert [tick.text for tick in frame.x_ticks(4)] == ["0", "50k", "100k", "150k", "200k"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [([2, 4], (1.5, 4.5)), ([4], (3, 5)), ([0, 0], (-1e-6, 1e-6))],
)
def test_widened_is_never_empty(values, expected):
    assert padded_range(values, 0.25) == pytest.approx(expected)


def test_a_curve_goes_through_its_values():
    drawn = curve_chart("loss", [0, 10, 20], [3, 1, 2])
    pairs = [tuple(map(float, pair.split(","))) for pair in drawn.points.split()]
    expected = [(drawn.frame.x(s), drawn.frame.y(v)) for s, v in ((0, 3), (10, 1), (20, 2))]
    assert pairs == expected
    assert (drawn.title, drawn.last_value, drawn.smoothing) == ("loss", "2", "not smoothed")


def test_a_long_curve_is_of_means_and_says_so():
    steps = list(range(4 * MAX_CURVE_POINTS))
    drawn = curve_chart("loss", steps, [step % 4 for step in steps])
    assert (drawn.title, drawn.smoothing) == ("loss", "means of 4 logged values")
    assert len(drawn.points.split()) == MAX_CURVE_POINTS
    assert {pair.split(",")[1] for pair in drawn.points.split()} == {str(drawn.frame.y(1.5))}


def test_a_curve_of_one_value():
    drawn = curve_chart("loss", [100], [0.5])
    assert drawn.points == f"{drawn.frame.x(100)},{drawn.frame.y(0.5)}"


def test_the_steps_begin_at_0_and_end_where_the_training_does():
    assert curve_chart("loss", [500, 1000], [3, 1]).frame.x_range == (0, 1000)
    assert curve_chart("loss", [500, 1000], [3, 1], last_step=1800).frame.x_range == (0, 1800)
    assert curve_chart("loss", [0], [3]).frame.x_range == (0, 1)


@pytest.mark.parametrize("start", [1, 10, 500, 990, 999])
def test_the_phases_are_named_in_order_inside_the_chart(start):
    drawn = curve_chart("loss", [0, 1000], [3, 1], adversarial_from=start)
    assert drawn.phases.line == drawn.frame.x(start)
    assert PHASE_NAME_WIDTH <= drawn.phases.before_end < drawn.phases.after_start
    assert drawn.phases.after_start <= drawn.frame.width - PHASE_NAME_WIDTH


@pytest.mark.parametrize("start", [None, 0, 1000, 2000])
def test_a_chart_of_one_phase_marks_none(start):
    assert curve_chart("loss", [0, 1000], [3, 1], adversarial_from=start).phases is None


def test_a_curve_of_nothing_is_refused():
    with pytest.raises(ValueError, match="loss: no values"):
        curve_chart("loss", [], [])
