"""Pictures that are enlarged side by side, each on a core."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from PIL import Image

from pipeline.machine_limits import usable_cores
from pipeline.networks import SRResNet
from pipeline.progress import Silent
from pipeline.upscaling import upscaler as upscaler_module
from pipeline.upscaling.batch import upscale_all
from pipeline.upscaling.encoding import Encoding
from pipeline.upscaling.plan import Job, Writing
from pipeline.upscaling.reading import read_picture
from pipeline.upscaling.result_writer import QUEUED_PER_THREAD, Result
from pipeline.upscaling.upscaler import Upscaler
from tests.upscaling.small import noise

PNG = Writing(Encoding("png"))


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("pipeline.devices.usable_cores", lambda: 2)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


class Watched(SRResNet):
    """A generator that notes which thread computes what, and fails on white pictures."""

    def __init__(self) -> None:
        super().__init__(blocks=1, features=8, norm="none")
        self.calls: list[tuple[str, int, tuple[int, ...]]] = []

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        if lr.shape[-2:] in ((5, 6), (6, 6), (7, 6)):  # not what measures the network's memory
            name = threading.current_thread().name.split("_")[0]
            self.calls.append((name, torch.get_num_threads(), tuple(lr.shape)))
        sr = super().forward(lr)
        sr[(lr == 1).flatten(1).all(1)] = torch.nan
        return sr


@pytest.fixture
def upscaler(monkeypatch: pytest.MonkeyPatch) -> Upscaler:
    torch.manual_seed(0)
    monkeypatch.setattr(upscaler_module, "ONE_CORE_PIXELS", 30)
    return Upscaler(Watched(), device="cpu", precision="fp32")


def calls_of(upscaler: Upscaler) -> list[tuple[str, int, tuple[int, ...]]]:
    network = upscaler._tiled.generator
    assert isinstance(network, Watched)
    return network.calls


def jobs_in(folder: Path, pictures: dict[str, Image.Image]) -> list[Job]:
    for name, picture in pictures.items():
        picture.save(folder / f"{name}.png")
    return [Job(folder / f"{name}.png", folder / "out" / f"{name}.png") for name in pictures]


def pictures(count: int) -> dict[str, Image.Image]:
    return {f"p{number}": Image.fromarray(noise(5, 6) // (number + 1)) for number in range(count)}


def suits(upscaler: Upscaler, job: Job) -> bool:
    return upscaler.suits_one_core(read_picture(job.source).picture)


def test_small_pictures_of_a_batch_are_enlarged_side_by_side(
    tmp_path: Path, upscaler: Upscaler
) -> None:
    jobs = jobs_in(tmp_path, pictures(3))
    alone = [upscaler(Image.open(job.source)).tobytes() for job in jobs]
    calls_of(upscaler).clear()
    written: list[Path] = []
    failures = upscale_all(
        jobs, lambda _: upscaler, PNG, lambda result: written.append(result.job.source), Silent()
    )
    assert (failures, written) == ({}, [job.source for job in jobs])
    assert calls_of(upscaler) == [("one-core", 1, (1, 3, 5, 6))] * 3
    assert [Image.open(job.target).tobytes() for job in jobs] == alone


def test_pictures_that_were_grouped_with_less_memory_are_all_enlarged(
    tmp_path: Path, upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Upscaler, "most_together", lambda *_: 2)
    jobs = jobs_in(tmp_path, pictures(3))
    assert upscale_all(jobs, lambda _: upscaler, PNG, lambda _: None, Silent()) == {}
    assert all(job.target.exists() for job in jobs)


def test_progress_counts_what_is_written(tmp_path: Path, upscaler: Upscaler) -> None:
    white = Image.new("RGB", (6, 5), "white")
    jobs, ended = jobs_in(tmp_path, {**pictures(5), "white": white}), list[Job]()
    shown: list[tuple[int, object]] = []

    class Done(Silent):
        def update(self, done: int, **figures: object) -> None:
            shown.append((done, figures["pictures"]))
            assert done <= 30 * (len(ended) + (len(ended) == 5))

    upscale_all(jobs, lambda _: upscaler, PNG, lambda result: ended.append(result.job), Done())
    assert shown[0] == (0, "1/6")
    assert shown[-1] == (180, "6/6")
    assert [done for done, _ in shown] == sorted(done for done, _ in shown)


def test_threads_that_start_afterwards_have_all_cores(tmp_path: Path, upscaler: Upscaler) -> None:
    upscale_all(jobs_in(tmp_path, pictures(2)), lambda _: upscaler, PNG, lambda _: None, Silent())
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(torch.get_num_threads).result() == torch.get_num_threads() == 2


def test_what_fails_is_named_in_the_order_of_the_pictures(
    tmp_path: Path, upscaler: Upscaler
) -> None:
    white = Image.new("RGB", (6, 5), "white")
    jobs = jobs_in(tmp_path, {"a": white, **pictures(1), "b": white, "c": white})
    jobs[2].source.write_bytes(b"no picture")
    failures = upscale_all(jobs, lambda _: upscaler, PNG, lambda _: None, Silent())
    assert [str(error) for error in failures.values()] == [
        f"{tmp_path}/a.png: the generator's result is not finite",
        f"{tmp_path}/b.png: no image of a known format",
        f"{tmp_path}/c.png: the generator's result is not finite",
    ]


def test_after_ctrl_c_no_other_picture_is_begun(tmp_path: Path, upscaler: Upscaler) -> None:
    jobs, written = jobs_in(tmp_path, pictures(40)), list[Path]()

    def interrupted(result: Result) -> None:
        written.append(result.job.target)
        if len(written) == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        upscale_all(jobs, lambda _: upscaler, PNG, interrupted, Silent())
    # What was being made is finished, and reported.
    assert written == sorted((tmp_path / "out").iterdir())
    assert len(written) <= 1 + QUEUED_PER_THREAD * usable_cores()


@pytest.mark.parametrize(("height", "count"), [(6, 2), (5, 1)])
def test_others_get_all_cores(tmp_path: Path, upscaler: Upscaler, height: int, count: int) -> None:
    """Larger ones, which take one core long, and fewer than there are cores."""
    sizes = {f"p{number}": Image.new("RGB", (6, height + number)) for number in range(count)}
    jobs = jobs_in(tmp_path, sizes)
    assert [suits(upscaler, job) for job in jobs] == [height == 5] * count
    assert upscale_all(jobs, lambda _: upscaler, PNG, lambda _: None, Silent()) == {}
    assert [threads for _, threads, _ in calls_of(upscaler)] == [2] * count


def test_each_core_needs_memory_and_a_network_without_threads(
    tmp_path: Path, upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    (job,) = jobs_in(tmp_path, pictures(1))
    assert suits(upscaler, job)
    assert not suits(Upscaler(Watched(), device="cpu", tta=True), job)
    # An LR picture of four times the pixels goes through the network at last.
    assert not suits(Upscaler(Watched(), device="cpu", scale=8), job)
    required = upscaler._required_memory(torch.zeros(1, 3, 5, 6, dtype=torch.uint8))
    for free, suitable in ((4 * required, True), (4 * required - 1, False)):
        monkeypatch.setattr(upscaler_module, "free_memory", lambda _, free=free: free)
        assert suits(upscaler, job) is suitable
    torch.set_num_threads(1)
    assert not suits(upscaler, job)
