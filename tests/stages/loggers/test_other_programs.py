"""The logs of TensorBoard and Weights & Biases, read back; both without a network."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import UsageError
from pipeline.progress import Silent
from stages.live_recorder import LiveRecorder
from stages.loggers.choice import chosen_loggers, make_loggers
from stages.loggers.train_log import TrainLog
from tests.stages.loggers.readers import tensorboard_scalars, wandb_history

KEY = "0123456789abcdef"
STATUS = {"lr": 0.5}
LOSSES = [(step, 1.0 / 2**step) for step in range(1, 7)]


def open_log(name: str, monkeypatch: pytest.MonkeyPatch) -> TrainLog:
    monkeypatch.setenv("PIPELINE_LOGGERS", name)
    monkeypatch.setenv("WANDB_MODE", "offline")
    return TrainLog(LiveRecorder(Path("train")), Path("runs"), make_loggers({"lr": 0.5}), Silent())


def log_losses(log: TrainLog, first: int, last: int) -> None:
    """Log the losses of steps, and at the last one a validation and its picture."""
    for step, loss in LOSSES[first - 1 : last]:
        log.figures(step, {"train/loss": loss}, STATUS)
    log.figures(last, {"val/psnr_y": 20.0}, STATUS)
    log.samples(np.zeros((8, 8, 3), np.uint8))


def go_on(log: TrainLog) -> None:
    """Log steps 3 to 6 of a training whose checkpoint is of step 2."""
    rows = [{"step": step, "train/loss": loss} for step, loss in LOSSES[:2]]
    log.start(rows, KEY)
    log_losses(log, 3, 6)


def test_tensorboard_has_each_step_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorboard")
    monkeypatch.chdir(tmp_path)
    killed = open_log("tensorboard", monkeypatch)
    killed.start([], KEY)
    log_losses(killed, 1, 4)
    assert tensorboard_scalars(tmp_path / "runs" / KEY)["train/loss"] == LOSSES[:4]
    with open_log("tensorboard", monkeypatch) as log:
        go_on(log)
    scalars = tensorboard_scalars(tmp_path / "runs" / KEY)
    assert scalars["train/loss"] == LOSSES
    assert scalars["val/psnr_y"] == [(6, 20.0)]
    assert [step for step, _ in scalars["status/lr"]] == [1, 2, 3, 4, 5, 6, 6]


@pytest.mark.slow
def test_weights_and_biases_has_each_step_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process is killed, too, so that nothing is written at the end."""
    wandb = pytest.importorskip("wandb")
    monkeypatch.chdir(tmp_path)
    program = (
        "import os, signal\n"
        "from tests.stages.loggers.test_other_programs import *\n"
        "log = open_log('wandb', pytest.MonkeyPatch())\n"
        "log.start([], KEY)\n"
        "log_losses(log, 1, 4)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(__file__).parents[3]
    subprocess.run([sys.executable, "-c", program], env=environment(root), check=False)
    assert len(list(tmp_path.glob(f"runs/{KEY}/wandb/offline-run-*"))) == 1
    with open_log("wandb", monkeypatch) as log:
        go_on(log)
    # Its process writes the file's end after the run is finished.
    wandb.teardown()
    history = wandb_history(tmp_path / "runs" / KEY)
    assert [(step, row["train/loss"]) for step, row in history] == LOSSES
    assert history[-1][1]["val/psnr_y"] == 20.0
    lines = (tmp_path / "runs" / KEY / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4, 5, 6, 6]


def environment(root: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": f"{root}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("tensorbord", "PIPELINE_LOGGERS: 'tensorbord' is unknown; use tensorboard, wandb"),
        ("tensorboard", "PIPELINE_LOGGERS: tensorboard is not installed; pip install"),
    ],
)
def test_a_logger_that_cannot_be_used_is_one_line(
    names: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPELINE_LOGGERS", names)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(UsageError, match=message):
        chosen_loggers()


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("WANDB_MODE", "ofline", "Input should be 'online', 'offline', "),
        ("WANDB_PROJECT", "a/b", "Invalid project name 'a/b'"),
        ("WANDB_HTTP_TIMEOUT", "soon", "Input should be a valid number"),
        ("WANDB__STATS_SAMPLING_INTERVAL", "", "Input should be a valid number"),
    ],
)
def test_a_variable_that_wandb_refuses_is_one_line(
    variable: str, value: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("PIPELINE_LOGGERS", "wandb")
    monkeypatch.setenv(variable, value)
    with pytest.raises(UsageError) as raised:
        chosen_loggers()
    text = str(raised.value)
    assert text.startswith(f"{variable}: {problem}")
    assert text.endswith("; change or unset it")
    assert "\n" not in text


def test_no_logger_is_chosen_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIPELINE_LOGGERS", raising=False)
    assert chosen_loggers() == []
