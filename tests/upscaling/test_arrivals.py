"""Pictures that appear in a folder."""

from pathlib import Path

import pytest

from pipeline.upscaling.arrivals import RETRY_SECONDS, Arrivals
from pipeline.upscaling.plan import Job


@pytest.fixture
def job(tmp_path: Path) -> Job:
    (tmp_path / "a").write_text("1")
    return Job(tmp_path / "a", tmp_path / "b")


def test_a_file_is_whole_when_it_did_not_change_since_the_last_look(tmp_path: Path) -> None:
    growing, whole = (Job(tmp_path / name, tmp_path / "out" / name) for name in ("a", "b"))
    arrivals = Arrivals()
    growing.source.write_text("1")
    whole.source.write_text("1")
    assert arrivals.whole([growing, whole]) == []
    growing.source.write_text("12")
    assert arrivals.whole([growing, whole]) == [whole]
    assert arrivals.whole([growing, whole]) == [growing, whole]


def test_each_version_of_a_file_is_done_once(job: Job) -> None:
    arrivals = Arrivals()
    for text in ("1", "12"):
        job.source.write_text(text)
        assert arrivals.whole([job]) == []
        assert arrivals.whole([job]) == [job]
        arrivals.finish(job)
        assert arrivals.whole([job]) == []


def test_what_changes_while_it_is_enlarged_is_done_again(job: Job) -> None:
    arrivals = Arrivals()
    assert [arrivals.whole([job]) for _ in range(2)] == [[], [job]]
    job.source.write_text("12")
    arrivals.finish(job)
    assert [arrivals.whole([job]) for _ in range(2)] == [[], [job]]


def test_what_the_machine_failed_is_tried_again_after_a_while_or_a_change(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrivals, now = Arrivals(), 100.0
    monkeypatch.setattr("pipeline.upscaling.arrivals.time.monotonic", lambda: now)
    assert [arrivals.whole([job]) for _ in range(2)] == [[], [job]]
    assert arrivals.retry(job)
    assert arrivals.whole([job]) == []
    now += RETRY_SECONDS
    assert arrivals.whole([job]) == [job]
    assert not arrivals.retry(job), "it failed before"
    assert arrivals.whole([job]) == []
    job.source.write_text("12")
    assert [arrivals.whole([job]) for _ in range(2)] == [[], [job]]
    assert arrivals.retry(job)


def test_only_an_unchanged_result_of_its_own_is_replaced(job: Job) -> None:
    arrivals = Arrivals()
    job.target.write_text("theirs")
    for _ in range(2):
        arrivals.whole([job])
    assert not arrivals.may_replace(job)
    job.target.write_text("ours")
    arrivals.finish_with_result(job)
    assert arrivals.may_replace(job)
    job.target.write_text("retouched")
    assert not arrivals.may_replace(job)


def test_a_file_that_vanished_is_none(tmp_path: Path) -> None:
    job = Job(tmp_path / "a", tmp_path / "b")
    arrivals = Arrivals()
    assert [arrivals.whole([job]) for _ in range(2)] == [[], []]
