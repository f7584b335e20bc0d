"""Processes whose parent is killed: a stage ends with DVC, workers end with their stage."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from pipeline.locks import living_owner
from stages.train import STAGE as TRAIN
from tests.end_to_end.test_chain import environment
from tests.evaluation.world import make_world
from tests.images.originals import drawing, write_originals
from tests.stages.program import PATIENCE_SECONDS, PROGRAM, end, start, wait_until
from tests.stages.test_train import PARAMS

DVC = [sys.executable, "-m", "dvc"]
# What stands for DVC where its own start would only take time.
STARTER = "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))"
SHELL = f"sleep 0; {PROGRAM} train; sleep 0"
DEMO = """
from pathlib import Path
from stages.commands.demo import run_dvc
run_dvc(["repro"], Path())
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A DVC project with the stage `train` alone, which takes hours unless `steps` is changed."""
    make_world(tmp_path, {"train": 4, "val": 2, "test": 1})
    (tmp_path / "models/generator.safetensors").unlink()
    (tmp_path / "params.yaml").write_text(PARAMS.replace("steps: 6", "steps: 1000000"))
    (tmp_path / "dvc.yaml").write_text("stages: {train: {cmd: pipeline train}}\n")
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[core]\nno_scm = true\nanalytics = false\n")
    return tmp_path


def started(project: Path, command: list[str], **variables: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        command,
        cwd=project,
        env=environment() | variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def training(project: Path) -> psutil.Process:
    """The process that trains, once it has saved a checkpoint."""
    wait_until(lambda: bool(checkpoints(project)))
    owner = living_owner(project / TRAIN.lock)
    assert owner is not None
    return psutil.Process(owner.pid)


def checkpoints(project: Path) -> list[Path]:
    return sorted(project.glob("models/checkpoints/*/*.pt"))


def gone(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize(
    ("command", "number"),
    [
        ([str(PROGRAM), "train"], signal.SIGTERM),
        (["/bin/sh", "-c", SHELL], signal.SIGKILL),
    ],
)
def test_a_stage_ends_when_dvc_alone_is_killed(
    project: Path, command: list[str], number: signal.Signals
) -> None:
    """Whether the shell that DVC starts has made place for the stage or stays between them."""
    dvc = started(project, [sys.executable, "-c", STARTER, *command], DVC_STAGE="train")
    process = training(project)
    dvc.send_signal(number)
    dvc.wait()
    wait_until(lambda: gone(process))
    assert not (project / "models/generator.safetensors").exists()


def test_without_dvc_a_training_outlives_its_shell(project: Path) -> None:
    params = project / "params.yaml"
    params.write_text(params.read_text().replace("1000000", "30"))
    shell = started(project, ["/bin/sh", "-c", SHELL])
    training(project)
    shell.kill()
    shell.wait()
    wait_until((project / "models/generator.safetensors").exists)


def test_dvc_killed_and_started_again(project: Path) -> None:
    """At once, the next one names the training that has not ended yet; later it goes on."""
    dvc = started(project, [*DVC, "repro"])
    process = training(project)
    process.suspend()
    dvc.kill()
    dvc.wait()
    again = subprocess.run(
        [*DVC, "repro"],
        cwd=project,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    process.resume()
    assert again.returncode != 0
    line = f"{TRAIN.lock}: pipeline train is running already (process {process.pid}, since "
    assert line in again.stderr
    wait_until(lambda: gone(process))
    reached = int(checkpoints(project)[-1].stem.removeprefix("step-"))
    later = start(project, "train", "--steps", "1000000")
    try:
        wait_until(lambda: int(checkpoints(project)[-1].stem.removeprefix("step-")) > reached)
    finally:
        later.terminate()
    assert f"training goes on from step {reached} of 1000000" in end(later).problems


def test_a_stage_that_is_stopped_already_gets_no_second_signal(project: Path) -> None:
    """`timeout` signals DVC and the stage; a second signal would end training without a save."""
    (project / "params.yaml").write_text(
        PARAMS.replace("steps: 6", "steps: 1000000").replace("seconds: 0.0", "seconds: 600")
    )
    dvc = started(
        project, [sys.executable, "-c", STARTER, str(PROGRAM), "train"], DVC_STAGE="train"
    )
    loss = project / "reports/train/plots/metrics/train/loss.tsv"
    wait_until(lambda: loss.exists() and len(loss.read_text().splitlines()) > 3)
    owner = living_owner(project / TRAIN.lock)
    assert owner is not None
    process = psutil.Process(owner.pid)
    os.killpg(dvc.pid, signal.SIGTERM)
    dvc.wait()
    wait_until(lambda: gone(process))
    assert len(checkpoints(project)) == 1


def test_dvc_ends_with_the_demo(project: Path) -> None:
    demo = started(project, [sys.executable, "-c", DEMO], PYTHONPATH=os.pathsep.join(sys.path))
    process = training(project)
    dvc = psutil.Process(demo.pid).children()[0]
    demo.kill()
    demo.wait()
    wait_until(lambda: gone(process) and gone(dvc))


@pytest.mark.parametrize("executor", ["process", "dask"])
def test_workers_end_when_resize_is_killed(tmp_path: Path, executor: str) -> None:
    (tmp_path / "params.yaml").write_text("resize: {size: 128, shard_size: 1}\ntrain: {crop: 64}\n")
    write_originals(tmp_path / "data/raw", {id: drawing(id, 900, 900) for id in range(1, 60)})
    resize = start(tmp_path, "resize", "--executor", executor, "--workers", "2")
    wait_until(lambda: any(tmp_path.glob("data/resized/*.tar")))
    workers = psutil.Process(resize.pid).children(recursive=True)
    assert len(workers) >= 2
    resize.kill()
    resize.wait()
    wait_until(lambda: all(gone(worker) for worker in workers))
    end(resize)


def test_processes_that_train_together_end_when_their_parent_is_killed(project: Path) -> None:
    """Even while they read, and as a background job, in which a shell has Ctrl-C ignored."""
    shard = project / "data/resized/shard-000000.tar"
    shard.unlink()
    os.mkfifo(shard)
    command = f"trap '' INT; exec {PROGRAM} train --processes 2"
    parent = started(project, ["/bin/sh", "-c", command])
    wait_until(lambda: has_reader(shard))
    workers = psutil.Process(parent.pid).children()
    parent.kill()
    parent.wait()
    wait_until(lambda: all(gone(worker) for worker in workers))


def has_reader(fifo: Path) -> bool:
    """Whether a process waits for what is written to `fifo`; keeps it waiting."""
    try:
        os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return False
    return True
