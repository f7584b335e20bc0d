"""Batches of pictures: decoded, enlarged and written side by side."""

import warnings
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from pipeline.errors import PipelineError
from pipeline.progress import Silent
from pipeline.upscaling.batch import read_picture, upscale_all
from pipeline.upscaling.encoding import Encoding
from pipeline.upscaling.plan import Job
from pipeline.upscaling.upscaler import Upscaler
from tests.upscaling.small import bicubic


def test_a_picture_that_failed_is_done_too(tmp_path: Path) -> None:
    steps, written = [], []

    class Done(Silent):
        def update(self, done: int, **figures: object) -> None:
            steps.append(done)

    for name in ("a.png", "c.png"):
        Image.new("RGB", (3, 2)).save(tmp_path / name)
    (tmp_path / "b.png").write_bytes(b"no picture")
    jobs = [Job(tmp_path / name, tmp_path / "out" / name) for name in ("a.png", "b.png", "c.png")]
    problems = upscale_all(
        jobs,
        lambda _: Upscaler(bicubic(), device="cpu"),
        Encoding("png"),
        lambda job, _: written.append(job.target.name),
        Done(),
    )
    assert written == ["a.png", "c.png"]
    assert [Path(line.split(":")[0]).name for line in problems] == ["b.png"]
    assert steps == [1, 2, 3]


def test_damaged_metadata_is_no_message(tmp_path: Path) -> None:
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0" + b"\x3b\x01\x02\0\xff\xff\xff\xff" * 2
    Image.new("RGB", (3, 2)).save(tmp_path / "a.jpg", exif=exif)
    with warnings.catch_warnings(record=True, action="always") as warned:
        problems = upscale_all(
            [Job(tmp_path / "a.jpg", tmp_path / "a.png")],
            lambda _: Upscaler(bicubic(), device="cpu"),
            Encoding("png"),
            lambda *_: None,
            Silent(),
        )
    assert (problems, [str(one.message) for one in warned]) == ([], [])


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
    upscale_all(jobs, lambda _: upscaler, Encoding("png"), lambda *_: None, Messages())
    assert shown == ([f"writing {jobs[-1].target}"] if missing_pixels == 0 else [])


def test_little_memory_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(image: PngImagePlugin.PngImageFile) -> None:
        raise MemoryError

    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", failing)
    with pytest.raises(PipelineError) as error:
        read_picture(Path("a.png"))
    assert str(error.value) == "a.png: not enough memory"
