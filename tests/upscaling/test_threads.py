"""Pictures that are enlarged side by side, each on a core."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image
from threadpoolctl import threadpool_info

from pipeline.networks import SRResNet
from pipeline.progress import Silent
from pipeline.upscaling import upscaler as upscaler_module
from pipeline.upscaling.batch import upscale_all
from pipeline.upscaling.encoding import Encoding
from pipeline.upscaling.plan import Job, Writing
from pipeline.upscaling.reading import read_picture
from pipeline.upscaling.threads import one_core_threads, without_blas_threads
from pipeline.upscaling.upscaler import Upscaler
from tests.upscaling.small import noise

PNG = Writing(Encoding("png"))


@pytest.fixture(autouse=True)
def two_cores() -> Iterator[None]:
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


def test_each_thread_keeps_to_one_core_and_no_other_thread_does() -> None:
    def threads_of_a_new_thread() -> int:
        found = []
        thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        return found[0]

    with one_core_threads(2) as threads:
        assert list(threads.map(lambda _: torch.get_num_threads(), range(4))) == [1] * 4
        assert threads_of_a_new_thread() == 2
    assert torch.get_num_threads() == 2


def test_numpy_has_its_threads_back() -> None:
    def threads() -> list[int]:
        return [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]

    before = threads()
    with without_blas_threads():
        assert set(threads()) == {1}
    assert threads() == before


def test_small_pictures_of_a_batch_are_enlarged_side_by_side(
    tmp_path: Path, upscaler: Upscaler
) -> None:
    jobs = [Job(tmp_path / f"{name}.png", tmp_path / "out" / f"{name}.png") for name in "abcd"]
    for number, job in enumerate(jobs):
        level = 255 if job.source.stem == "b" else None
        picture = Image.fromarray(noise(5, 6) // (number + 1))
        (Image.new("RGB", (6, 5), (level,) * 3) if level else picture).save(job.source)
    alone = [upscaler(Image.open(job.source)) for job in jobs if job.source.stem != "b"]
    calls_of(upscaler).clear()
    written: list[str] = []
    failures = upscale_all(
        jobs,
        lambda _: upscaler,
        PNG,
        lambda result: written.append(result.job.source.stem),
        Silent(),
    )
    assert {str(error) for error in failures.values()} == {
        f"{tmp_path}/b.png: the generator's result is not finite"
    }
    assert written == ["a", "c", "d"]
    assert set(calls_of(upscaler)) == {("one-core", 1, (1, 3, 5, 6))}
    results = [Image.open(job.target) for job in jobs if job.target.exists()]
    assert [result.tobytes() for result in results] == [result.tobytes() for result in alone]


@pytest.mark.parametrize(("names", "height"), [("ab", 6), ("a", 5)])
def test_others_get_all_cores(tmp_path: Path, upscaler: Upscaler, names: str, height: int) -> None:
    """Larger ones, which take one core long, and one by itself."""
    jobs = [Job(tmp_path / f"{name}.png", tmp_path / "out" / f"{name}.png") for name in names]
    for number, job in enumerate(jobs):
        Image.new("RGB", (6, height + number)).save(job.source)
    assert [upscaler.suits_one_core(read_picture(job.source).picture) for job in jobs] == [
        height == 5
    ] * len(jobs)
    assert upscale_all(jobs, lambda _: upscaler, PNG, lambda _: None, Silent()) == {}
    assert [threads for _, threads, _ in calls_of(upscaler)] == [2] * len(jobs)


def test_pictures_of_an_array_are_enlarged_side_by_side(upscaler: Upscaler) -> None:
    lr = torch.rand(3, 3, 5, 6, generator=torch.Generator().manual_seed(0))
    one_by_one = torch.stack([upscaler(picture) for picture in lr])
    calls_of(upscaler).clear()
    assert torch.equal(upscaler(lr), one_by_one)
    assert calls_of(upscaler) == [("one-core", 1, (1, 3, 5, 6))] * 3
