"""The commands on a card: train, stop, resume, evaluate, upscale, export."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.evaluation.world import make_world
from tests.stages.program import ROOT

pytestmark = pytest.mark.cuda

PATIENCE_SECONDS = 120
MAIN = "from stages.app import main; main()"
STEPS = 300
PARAMS = f"""\
train:
  generator: {{blocks: 1, features: 8}}
  crop: 32
  steps: {STEPS}
  pretrain_steps: 20
  vgg: random
  device: cuda
  log_every: 5
  validate_every: 100
  validation_images: 2
evaluate: {{device: cuda, lpips: "off", dists: "off", pictures: 2, detail: 16}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    make_world(tmp_path, {"train": 4, "val": 2, "test": 3})
    (tmp_path / "models/generator.safetensors").unlink()
    (tmp_path / "params.yaml").write_text(PARAMS)
    return tmp_path


def start(project: Path, *command: str) -> "subprocess.Popen[str]":
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=project,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(project: Path, *command: str) -> str:
    """Return what a command printed that ended well."""
    with start(project, *command) as process:
        printed, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, printed
    return printed


def pipeline(project: Path, *arguments: str) -> str:
    return run(project, "-c", MAIN, *arguments)


def stop_in_training(project: Path) -> str:
    """Start a training, stop it after its first rows; return what it printed."""
    curve = project / "reports/train/plots/metrics/train/loss.tsv"
    with start(project, "-c", MAIN, "train") as process:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not curve.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        printed, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130, printed
    return printed


def test_chain(project: Path) -> None:
    stop_in_training(project)
    assert "goes on from step" in pipeline(project, "train")
    resumed = (project / "models/generator.safetensors").read_bytes()
    for folder in ("models", "reports"):
        (project / folder).rename(project / f"{folder}-before")
    pipeline(project, "train")
    assert (project / "models/generator.safetensors").read_bytes() == resumed

    pipeline(project, "evaluate")
    on_card = json.loads((project / "reports/metrics.json").read_text())
    pipeline(project, "evaluate", "--device", "cpu")
    on_cpu = json.loads((project / "reports/metrics.json").read_text())
    assert on_card.keys() == on_cpu.keys()
    for name, value in on_cpu.items():
        if isinstance(value, float):
            assert on_card[name] == pytest.approx(value, rel=2e-3), name

    lr = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    Image.fromarray(lr).save(project / "lr.png")
    pictures = []
    for device in ("cuda", "cpu"):
        model = ["--model", "models/generator.safetensors", "--precision", "fp32"]
        pipeline(project, "upscale", "lr.png", "-o", f"{device}.png", "--device", device, *model)
        pictures.append(np.asarray(Image.open(project / f"{device}.png")).astype(int))
    assert pictures[0].shape == (120, 160, 3)
    assert np.abs(pictures[0] - pictures[1]).max() <= 1
    assert "of PyTorch" in pipeline(
        project, "export", "sr.onnx", "--model", "models/generator.safetensors"
    )


def test_one_process_of_torchrun_trains_by_nccl(project: Path) -> None:
    options = ["--nproc-per-node", "1", "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0"]
    printed = run(
        project, "-m", "torch.distributed.run", *options, "-m", "stages.train", "--steps", "30"
    )
    assert (project / "models/generator.safetensors").exists(), printed
