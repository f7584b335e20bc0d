"""Shards made in other processes are those of this one, also when a worker dies."""

import errno
import os
import signal
import threading
import time
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import dask
import pytest
from distributed import LocalCluster

from pipeline.errors import PipelineError
from pipeline.params import ResizeParams
from pipeline.resizing.executors import dask_executor, process_pool
from pipeline.resizing.run import ResizeReport, resize
from tests.images.originals import drawing, write_originals

COUNT = 40


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("originals") / "raw"
    pictures = {id: drawing(id, 300, 400) for id in range(1, COUNT + 1)}
    return write_originals(folder, pictures | {7: b"", 13: b"GIF"})


def run(raw: Path, folder: Path, **params: Any) -> tuple[ResizeReport, dict[str, bytes]]:
    chosen = ResizeParams(**({"size": 128, "shard_size": 5, "max_refused": 0.2} | params))
    places = (folder / "resized", folder / "resize.json", folder / "store")
    report = resize(chosen, raw, *places)
    return report, {path.name: path.read_bytes() for path in places[0].iterdir()}


@pytest.fixture(scope="module")
def expected(
    raw: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[ResizeReport, dict[str, bytes]]:
    return run(raw, tmp_path_factory.mktemp("threads"))


@pytest.mark.parametrize("params", [{"executor": "process", "workers": 2}, {"workers": 3}])
def test_processes_make_the_same_shards(
    raw: Path,
    tmp_path: Path,
    expected: tuple[ResizeReport, dict[str, bytes]],
    params: dict[str, object],
) -> None:
    assert run(raw, tmp_path, **params) == expected


def test_a_dask_worker_that_dies_costs_nothing(
    raw: Path, tmp_path: Path, expected: tuple[ResizeReport, dict[str, bytes]]
) -> None:
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        victim = next(iter(cluster.workers.values())).pid

        def kill() -> None:
            while not list((tmp_path / "resized").glob("shard-*.tar")):
                time.sleep(0.001)
            os.kill(victim, signal.SIGKILL)

        killer = threading.Thread(target=kill, daemon=True)
        killer.start()
        scheduler = {"executor": "dask", "scheduler": cluster.scheduler_address}
        assert run(raw, tmp_path, **scheduler) == expected
        killer.join(5)
        assert not killer.is_alive()


def fail(calls: Path) -> None:
    with calls.open("a") as file:
        file.write("called\n")
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_task_that_fails_on_dask_is_not_tried_again(tmp_path: Path) -> None:
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster,
        dask_executor(cluster.scheduler_address, 1) as executor,
        pytest.raises(OSError, match="No space left"),
    ):
        executor.submit(fail, tmp_path / "calls").result()
    assert (tmp_path / "calls").read_text() == "called\n"


def test_workers_that_die_again_and_again_are_one_line() -> None:
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster,
        pytest.raises(PipelineError, match=r"^resize: the workers that made a shard were killed"),
        dask_executor(cluster.scheduler_address, 1) as executor,
    ):
        executor.submit(signal.raise_signal, signal.SIGKILL).result()


def wait_while_closing(executor: Executor, cluster: LocalCluster) -> None:
    waiting = executor.submit(time.sleep, 60)
    cluster.close()
    waiting.result(60)


def test_a_scheduler_that_is_lost_is_one_line() -> None:
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster,
        pytest.raises(PipelineError, match=r"^resize: Dask's scheduler was lost; "),
        dask_executor(cluster.scheduler_address, 1) as executor,
    ):
        wait_while_closing(executor, cluster)


def test_a_process_that_is_killed_is_one_line() -> None:
    with (
        pytest.raises(PipelineError, match=r"^resize: a process was killed, .* resize\.workers$"),
        process_pool(1) as executor,
    ):
        executor.submit(signal.raise_signal, signal.SIGKILL).result()


def test_a_scheduler_that_is_not_there_is_one_line(raw: Path, tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"resize\.scheduler: tcp://127\.0\.0\.1:1 cannot be"):
        run(raw, tmp_path, executor="dask", scheduler="tcp://127.0.0.1:1")


def test_an_empty_shard_is_no_file(tmp_path: Path) -> None:
    pictures = {id: drawing(id, 150, 150) if id > 2 else b"" for id in range(1, 7)}
    raw = write_originals(tmp_path / "raw", pictures)
    report, files = run(raw, tmp_path, shard_size=2, max_refused=0.5)
    assert sorted(files) == ["index.jsonl", "shard-000001.tar", "shard-000002.tar"]
    assert (report.images, report.shards, report.refused) == (4, 2, {"empty": 2})
