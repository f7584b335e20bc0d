"""Batches of pictures: decoded, enlarged and written side by side."""

import os
import threading
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from pipeline.errors import MachineFaultError
from pipeline.networks import SRResNet, tiles
from pipeline.progress import Silent
from pipeline.upscaling import batch, result_writer
from pipeline.upscaling.batch import upscale_all
from pipeline.upscaling.encoding import Encoding
from pipeline.upscaling.pictures import Picture
from pipeline.upscaling.plan import Job, Writing
from pipeline.upscaling.upscaler import Upscaler
from tests.upscaling.small import bicubic, noise

PNG = Writing(Encoding("png"))


def test_a_picture_that_failed_is_done_too(tmp_path: Path) -> None:
    steps: list[tuple[int, object]] = []
    totals, written = [], []

    class Done(Silent):
        def start(self, label: str, total: int | None, unit: str) -> None:
            totals.append((total, unit))

        def update(self, done: int, **figures: object) -> None:
            steps.append((done, figures["pictures"]))

    Image.new("RGB", (3, 2)).save(tmp_path / "a.png")
    Image.new("RGB", (300, 2)).save(tmp_path / "c.png")
    (tmp_path / "b.png").write_bytes(b"no picture")
    jobs = [Job(tmp_path / name, tmp_path / "out" / name) for name in ("a.png", "b.png", "c.png")]
    problems = upscale_all(
        jobs,
        lambda _: Upscaler(bicubic(), tile=150, device="cpu"),
        Writing(Encoding("png")),
        lambda result: written.append(result.job.target.name),
        Done(),
    )
    assert written == ["a.png", "c.png"]
    assert [job.source.name for job in problems] == ["b.png"]
    assert totals == [(6 + 1 + 600, "pixels")]
    assert steps == [
        *((0, "0/3"), (0, "1/3")),
        *((6, "1/3"), (6, "1/3"), (6, "2/3")),
        *((7, "2/3"), (7, "3/3"), (307, "3/3"), (607, "3/3"), (607, "3/3")),
    ]


def test_progress_never_goes_back(tmp_path: Path) -> None:
    """Of two passes over a picture the second has sixteen times as many tiles."""
    steps: list[int] = []

    class Done(Silent):
        def update(self, done: int, **figures: object) -> None:
            steps.append(done)

    picture = Image.new("RGB", (20, 4))
    picture.save(tmp_path / "a.png")
    picture.save(tmp_path / "b.gif", save_all=True, append_images=[Image.new("RGB", (20, 4), 9)])
    jobs = [Job(path, tmp_path / "out" / path.name) for path in sorted(tmp_path.glob("*.*"))]
    upscaler = Upscaler(bicubic(), scale=8, tile=16, device="cpu")
    upscale_all(jobs, lambda _: upscaler, Writing(Encoding("png")), lambda _: None, Done())
    assert steps == sorted(steps)
    assert {16, 80, 160, 240} <= set(steps)


AT_ONCE: list[int] = []
"""How many pictures `Watched` got at each call."""


class Watched(SRResNet):
    """A generator that fails on white pictures."""

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        sr = super().forward(lr)
        if lr.shape[-2:] == (5, 6):  # not what measures the network's memory
            AT_ONCE.append(len(lr))
            sr[(lr == 1).flatten(1).all(1)] = torch.nan
        return sr


def watched() -> Upscaler:
    torch.manual_seed(0)
    return Upscaler(Watched(blocks=1, features=8, norm="none"), device="cpu", precision="fp32")


def test_pictures_of_one_size_go_through_the_network_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, picture in {
        **{f"a{number}": Image.fromarray(noise(5, 6) // (number + 1)) for number in range(5)},
        "b": Image.new("RGB", (6, 4)),
        "c": Image.fromarray(noise(5, 6)),
        "d": Image.fromarray(noise(5, 6, 1)[..., 0]),
    }.items():
        picture.save(tmp_path / f"{name}.png")
    upscaler, results = watched(), []
    for together in (1, 3):
        monkeypatch.setattr(tiles, "CPU_PIXELS", together * 6**2)
        AT_ONCE.clear()
        sources = sorted(tmp_path.glob("*.png"))
        jobs = [Job(path, tmp_path / str(together) / path.name) for path in sources]
        assert upscale_all(jobs, lambda _: upscaler, PNG, lambda _: None, Silent()) == {}
        assert {1: [1] * 7, 3: [3, 2, 1, 1]}[together] == AT_ONCE
        results.append([job.target.read_bytes() for job in jobs])
    assert results[0] == results[1]


def test_one_that_fails_among_several_is_the_only_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, level in (("a", 9), ("b", 255), ("c", 90)):
        Image.new("RGB", (6, 5), (level,) * 3).save(tmp_path / f"{name}.png")
    jobs = [Job(path, tmp_path / "out" / path.name) for path in sorted(tmp_path.glob("*.png"))]
    upscaler, written = watched(), list[str]()
    monkeypatch.setattr(tiles, "CPU_PIXELS", 3 * 6**2)
    failures = upscale_all(
        jobs,
        lambda _: upscaler,
        PNG,
        lambda result: written.append(result.job.source.name),
        Silent(),
    )
    assert written == ["a.png", "c.png"]
    assert {job: str(error) for job, error in failures.items()} == {
        jobs[1]: f"{tmp_path}/b.png: the generator's result is not finite"
    }


def test_what_the_choice_needs_is_computed_beside_the_network(tmp_path: Path) -> None:
    threads: list[bool] = []

    def prepare(_: Picture) -> None:
        threads.append(threading.current_thread() is threading.main_thread())
        if len(threads) == 2:
            raise MemoryError

    for name in ("a", "b"):
        Image.new("RGB", (3, 2)).save(tmp_path / f"{name}.png")
    jobs = [Job(path, tmp_path / "out" / path.name) for path in tmp_path.glob("*.png")]
    upscaler = Upscaler(bicubic(), device="cpu")
    failures = upscale_all(jobs, lambda _: upscaler, PNG, lambda _: None, Silent(), prepare)
    assert threads == [False, False]
    assert [str(error) for error in failures.values()] == [
        f"{job.source}: not enough memory" for job in failures
    ]
    assert len(failures) == 1


def test_damaged_metadata_is_no_message(tmp_path: Path) -> None:
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0" + b"\x3b\x01\x02\0\xff\xff\xff\xff" * 2
    Image.new("RGB", (3, 2)).save(tmp_path / "a.jpg", exif=exif)
    with warnings.catch_warnings(record=True, action="always") as warned:
        problems = upscale_all(
            [Job(tmp_path / "a.jpg", tmp_path / "a.png")],
            lambda _: Upscaler(bicubic(), device="cpu"),
            Writing(Encoding("png")),
            lambda *_: None,
            Silent(),
        )
    assert (problems, [str(one.message) for one in warned]) == ({}, [])


@pytest.mark.parametrize("missing_pixels", [0, 1])
def test_a_large_last_file_is_named_while_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing_pixels: int
) -> None:
    shown: list[str] = []

    class Messages(Silent):
        def message(self, text: str) -> None:
            shown.append(text)

    upscaler = Upscaler(bicubic(), device="cpu")
    width, height = upscaler.size_of(3, 2)
    monkeypatch.setattr("pipeline.upscaling.batch.LONG_TO_WRITE", width * height + missing_pixels)
    jobs = [Job(tmp_path / name, tmp_path / f"big {name}") for name in ("a.png", "b.png")]
    for job in jobs:
        Image.new("RGB", (3, 2)).save(job.source)
    upscale_all(jobs, lambda _: upscaler, Writing(Encoding("png")), lambda _: None, Messages())
    assert shown == ([f"writing {jobs[-1].target}"] if missing_pixels == 0 else [])


def test_files_of_several_pictures_are_named_once(tmp_path: Path) -> None:
    shown: list[str] = []

    class Messages(Silent):
        def message(self, text: str) -> None:
            shown.append(text)

    picture = Image.new("RGB", (3, 2))
    for name in ("a.mpo", "b.mpo"):
        picture.save(tmp_path / name, "MPO", save_all=True, append_images=[picture])
    picture.save(tmp_path / "c.png")
    jobs = [Job(path, tmp_path / "out" / path.name) for path in sorted(tmp_path.glob("*.*"))]
    upscaler = Upscaler(bicubic(), device="cpu")
    upscale_all(jobs, lambda _: upscaler, Writing(Encoding("png")), lambda _: None, Messages())
    assert shown == [
        f"{tmp_path}/a.mpo, {tmp_path}/b.mpo: another picture follows the first; only the first is "
        "enlarged"
    ]


@pytest.mark.parametrize(("free_bytes", "most_waiting"), [(10**9, 3), (1000, 1)])
def test_small_results_are_written_side_by_side_where_memory_suffices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_bytes: int, most_waiting: int
) -> None:
    started, reported, begun = list[str](), list[str](), threading.Event()

    def write(path: Path, *_: object) -> None:
        started.append(path.stem)
        if len(started) == most_waiting:
            begun.set()
        assert begun.wait(60)

    jobs = [Job(tmp_path / f"{name}.png", tmp_path / f"out/{name}.png") for name in "abcd"]
    for job in jobs:
        Image.new("RGB", (3, 2)).save(job.source)
    upscaler = Upscaler(bicubic(), device="cpu")
    monkeypatch.setattr("pipeline.upscaling.result_writer.usable_cores", lambda: 3)
    monkeypatch.setattr("pipeline.upscaling.result_writer.available_memory", lambda: free_bytes)
    monkeypatch.setattr("pipeline.upscaling.result_writer.write_parts", write)
    problems = upscale_all(
        jobs,
        lambda _: upscaler,
        Writing(Encoding("png")),
        lambda result: reported.append(result.job.target.stem),
        Silent(),
    )
    assert (problems, reported) == ({}, ["a", "b", "c", "d"])


def test_what_another_run_has_made_meanwhile_is_kept(tmp_path: Path) -> None:
    jobs = [Job(tmp_path / name, tmp_path / "out" / name) for name in ("a.png", "b.png")]
    for job in jobs:
        Image.new("RGB", (3, 2)).save(job.source)
    upscaler = Upscaler(bicubic(), device="cpu")

    def choose(_: object) -> Upscaler:
        jobs[1].target.parent.mkdir(exist_ok=True)
        jobs[1].target.write_text("theirs")
        return upscaler

    for overwrite in (False, True):
        writing = Writing(Encoding("png"), overwrite=overwrite)
        assert upscale_all(jobs, choose, writing, lambda _: None, Silent()) == {}
        assert (jobs[1].target.read_bytes() == b"theirs") is not overwrite


def test_what_appears_during_the_computation_is_kept(tmp_path: Path) -> None:
    shown: list[str] = []

    class Messages(Silent):
        def message(self, text: str) -> None:
            shown.append(text)

    job = Job(tmp_path / "a.png", tmp_path / "b.png")
    Image.new("RGB", (3, 2)).save(job.source)

    def choose(_: object) -> Upscaler:
        job.target.write_text("theirs")
        return Upscaler(bicubic(), device="cpu")

    assert upscale_all([job], choose, Writing(Encoding("png")), lambda _: None, Messages()) == {}
    assert job.target.read_text() == "theirs"
    assert shown == [f"{job.target}: exists, made meanwhile; left out, --overwrite replaces it"]
    assert sorted(tmp_path.iterdir()) == [job.source, job.target]


@pytest.mark.parametrize("step", ["encoded_parts", "lay_on"])
@pytest.mark.parametrize("error", [MemoryError(), OSError("out of memory")])
def test_little_memory_for_one_picture_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: Exception
) -> None:
    def failing(picture: Picture, *arguments: Any) -> object:
        if picture.animated:
            raise error
        return function(picture, *arguments)

    module = batch if step == "lay_on" else result_writer
    function = getattr(module, step)
    monkeypatch.setattr(module, step, failing)
    picture, other = Image.new("RGB", (3, 2)), Image.new("RGB", (3, 2), "red")
    picture.save(tmp_path / "a.gif", save_all=True, append_images=[other])
    picture.save(tmp_path / "b.gif")
    jobs = [Job(tmp_path / name, tmp_path / "out" / name) for name in ("a.gif", "b.gif")]
    upscaler, written = Upscaler(bicubic(), device="cpu"), list[Path]()
    problems = upscale_all(
        jobs,
        lambda _: upscaler,
        Writing(Encoding("png"), background="white"),
        lambda result: written.append(result.job.source),
        Silent(),
    )
    named = jobs[0].source if step == "lay_on" else jobs[0].target
    assert {job: (type(error), str(error)) for job, error in problems.items()} == {
        jobs[0]: (MachineFaultError, f"{named}: not enough memory")
    }
    assert written == [jobs[1].source]


def test_a_result_may_have_the_time_of_its_picture(tmp_path: Path) -> None:
    job = Job(tmp_path / "a.png", tmp_path / "b.png")
    Image.new("RGB", (3, 2)).save(job.source)
    os.utime(job.source, ns=(10**18, 10**18 + 123))
    upscaler = Upscaler(bicubic(), device="cpu")
    for keep, is_same in ((False, False), (True, True)):
        writing = Writing(Encoding("png"), keep_time=keep, overwrite=True)
        upscale_all([job], lambda _: upscaler, writing, lambda _: None, Silent())
        times = [path.stat().st_mtime_ns for path in (job.source, job.target)]
        assert (times[0] == times[1]) is is_same
