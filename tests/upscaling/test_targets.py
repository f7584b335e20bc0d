"""What keeps results from being written."""

import os
import sys
from pathlib import Path

import pytest

from pipeline.errors import ReaderEndedError
from pipeline.upscaling.plan import PIPE, Job
from pipeline.upscaling.targets import nameable_jobs, writable_jobs


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.png", "file"):
        Path(name).touch()
    Path("x.png").mkdir()


def test_one_line_per_folder_that_takes_no_files() -> None:
    jobs = [
        Job(Path(source), Path(target))
        for source, target in (
            ("a.png", "new/deep/a.png"),
            ("a.png", "file/out/a.png"),
            ("b.png", "file/out/b.png"),
            ("a.png", "file/a.png"),
            ("absent.png", "c.png"),
        )
    ]
    assert writable_jobs(jobs) == (
        jobs[:1],
        [
            "file/out: cannot be written: Not a directory",
            "file: cannot be written: Not a directory",
            "absent.png: No such file or directory",
        ],
    )
    assert not Path("new").exists()


def test_folders_that_only_seem_writable() -> None:
    if not Path("/proc/self").is_dir():
        pytest.skip("has no /proc")
    possible, problems = writable_jobs([Job(Path("a.png"), Path("/proc/self/a.png"))])
    assert possible == []
    assert problems == ["/proc/self: takes no files; name another folder"]


def test_names_that_are_too_long_or_taken_by_folders() -> None:
    long = Path("é" * 127 + "_x4.png")
    targets = (Path("x.png"), long, long / "b.png", Path("c.png"))
    jobs = [Job(Path("a.png"), path) for path in targets]
    possible, problems = nameable_jobs(jobs)
    assert possible == jobs[3:]
    assert problems == [
        "x.png: is a folder; name another result with -o",
        *[f"a.png: its result's name has {len(os.fsencode(long))} bytes, too many; use -o"] * 2,
    ]


def test_pipes_have_no_files_that_could_fail() -> None:
    assert writable_jobs([Job(PIPE, Path("c.png"))]) == ([Job(PIPE, Path("c.png"))], [])
    assert nameable_jobs([Job(PIPE, PIPE)]) == ([Job(PIPE, PIPE)], [])


def test_a_pipe_whose_reader_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job(Path("a.png"), PIPE)
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert writable_jobs([job]) == ([job], [])
        os.close(reader)
        with pytest.raises(ReaderEndedError):
            writable_jobs([job])
