"""Pictures that appear in a folder."""

from pathlib import Path

from pipeline.upscaling.arrivals import Arrivals
from pipeline.upscaling.plan import Job


def test_a_file_is_whole_when_it_did_not_change_since_the_last_look(tmp_path: Path) -> None:
    growing, whole = (Job(tmp_path / name, tmp_path / "out" / name) for name in ("a", "b"))
    arrivals = Arrivals()
    growing.source.write_text("1")
    whole.source.write_text("1")
    assert arrivals.whole([growing, whole]) == []
    growing.source.write_text("12")
    assert arrivals.whole([growing, whole]) == [whole]
    assert arrivals.whole([growing, whole]) == [growing]
    assert arrivals.whole([growing, whole]) == []
    growing.source.write_text("123")
    assert arrivals.whole([growing, whole]) == []
    assert arrivals.whole([growing, whole]) == [growing]


def test_a_file_that_vanished_is_none(tmp_path: Path) -> None:
    job = Job(tmp_path / "a", tmp_path / "b")
    arrivals = Arrivals()
    assert [arrivals.whole([job]) for _ in range(2)] == [[], []]
