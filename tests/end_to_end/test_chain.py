"""The whole chain through DVC: a git repository, a booru on loopback, five stages."""

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open

from pipeline.booru.app import Site
from pipeline.images.collection import collect_folder
from pipeline.wsgi import Server
from stages.project import create_project
from tests.stages.program import wait_until

PICTURES = 24
SETTINGS = {
    "scrape": {
        "limit": PICTURES,
        "min_side": 64,
        "excluded_tags": [],
        "api_interval": 0.0,
        "file_interval": 0.0,
    },
    "resize": {"size": 64, "shard_size": 10},
    "manifest": {"count": 20, "min_count": 16, "val_fraction": 0.2, "test_fraction": 0.3},
    "train": {
        "generator": {"blocks": 1, "features": 8},
        "crop": 32,
        "steps": 6,
        "pretrain_steps": 2,
        "vgg": "random",
        "device": "cpu",
        "log_every": 1,
        "validate_every": 3,
        "validation_images": 2,
        "checkpoint_seconds": 0.3,
    },
    "evaluate": {"device": "cpu", "lpips": "off", "dists": "off", "pictures": 2, "detail": 16},
}
STAGES = ["scrape", "resize", "manifest", "train", "evaluate"]


@dataclass(frozen=True)
class Project:
    folder: Path

    def dvc(self, *arguments: str) -> str:
        """Run DVC to a good end; return what it printed."""
        result = subprocess.run(
            [sys.executable, "-m", "dvc", *arguments],
            cwd=self.folder,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def repro(self, *targets: str) -> list[str]:
        """`dvc repro`; the stages that ran."""
        lines = self.dvc("repro", *targets).splitlines()
        return [line.split("'")[1] for line in lines if line.startswith("Running stage ")]

    def status(self) -> dict[str, list[object]]:
        """`dvc status`: what would run again, and why."""
        found: dict[str, list[object]] = json.loads(self.dvc("status", "--json"))
        return found

    def commit(self) -> None:
        for command in (["git", "add", "--all"], ["git", "commit", "--quiet", "-m", "A run"]):
            subprocess.run(command, cwd=self.folder, env=environment(), check=True)

    def generator(self) -> tuple[dict[str, str], bytes]:
        path = self.folder / "models/generator.safetensors"
        with safe_open(path, "np") as file:
            return file.metadata(), path.read_bytes()


def environment() -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    # Without this, an experiment's commit would need the machine to name an author.
    names = {"GIT_AUTHOR_NAME": "t", "GIT_COMMITTER_NAME": "t"}
    mails = {"GIT_AUTHOR_EMAIL": "t@localhost", "GIT_COMMITTER_EMAIL": "t@localhost"}
    found = os.environ | names | mails | {"PATH": path, "OMP_NUM_THREADS": "1"}
    # As users have it: what Python compiles must change nothing that DVC watches.
    return {name: value for name, value in found.items() if name != "PYTHONDONTWRITEBYTECODE"}


def draw_pictures(folder: Path) -> None:
    """Pictures of enough difference that none is another's near-duplicate."""
    random = np.random.default_rng(0)
    folder.mkdir()
    for number in range(PICTURES):
        coarse = random.integers(0, 256, (9, 9, 3), np.uint8)
        picture = Image.fromarray(coarse).resize((80 + number, 96), Image.Resampling.BICUBIC)
        picture.save(folder / f"{number:02}.png")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    base = tmp_path_factory.mktemp("chain")
    draw_pictures(base / "pictures")
    with Server(Site(collect_folder(base / "pictures"))) as booru:
        scrape = SETTINGS["scrape"] | {"site": booru.url}
        create_project(base / "project", SETTINGS | {"scrape": scrape}, "Params")
        project = Project(base / "project")
        assert project.repro() == ["code", *STAGES]
        project.commit()
        yield project


def test_the_chain_leaves_what_it_promises(project: Project) -> None:
    folder = project.folder
    report = json.loads((folder / "reports/manifest.json").read_text())
    assert report["rows"] == 20
    assert len((folder / "data/manifest.csv").read_text().splitlines()) == 21
    assert [path.name for path in sorted((folder / "data/resized").glob("*.tar"))] == [
        "shard-000000.tar",
        "shard-000001.tar",
        "shard-000002.tar",
    ]
    metrics = json.loads((folder / "reports/metrics.json").read_text())
    assert {name.split(".")[0] for name in metrics} == {"model"}
    with (folder / "reports/evaluate/means.csv").open() as file:
        methods = {row["method"] for row in csv.DictReader(file)}
    assert methods == {"nearest", "bilinear", "bicubic", "lanczos", "model"}
    assert (folder / "reports/index.html").stat().st_size > 10_000
    metadata, _ = project.generator()
    assert (metadata["vgg"], metadata["adversarial"], metadata["step"]) == ("random", "true", "6")


def test_a_second_repro_runs_nothing(project: Project) -> None:
    assert project.repro() == ["code"]


def test_git_is_clean_after_a_committed_run(project: Project) -> None:
    status = subprocess.run(
        ["git", "status", "--porcelain"],
        cwd=project.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert status.stdout == ""


def test_an_experiment_trains_anew_and_can_be_compared(project: Project) -> None:
    """`adv_weight=0` reruns train and evaluate alone; going back costs no run at all.

    Without a discriminator there are fewer curves; DVC takes those of other experiments away.
    """
    curves = project.folder / "reports/train/plots/metrics/train"
    before, all_curves = project.generator(), {path.name for path in curves.iterdir()}
    assert "adversarial.tsv" in all_curves
    output = project.dvc("exp", "run", "-n", "distortion", "-S", "train.adv_weight=0")
    assert [stage for stage in STAGES if f"Running stage '{stage}'" in output] == STAGES[3:]
    after = project.generator()
    assert {path.name for path in curves.iterdir()} == {"loss.tsv", "mse.tsv"}
    assert after[0]["adversarial"] == "false"
    assert after[1] != before[1]
    metrics = json.loads(project.dvc("metrics", "diff", "--json"))
    assert "model.psnr_y" in str(metrics)
    params = json.loads(project.dvc("params", "diff", "--json"))
    assert params["params.yaml"] == {"train.adv_weight": {"old": 1.0, "new": 0, "diff": -1.0}}
    assert "distortion" in project.dvc("exp", "show", "--csv", "--no-pager")
    project.dvc("plots", "show", "--out", "data/.store/plots")
    page = (project.folder / "data/.store/plots/index.html").read_text()
    for name in (
        "train/loss",
        "val/psnr_y",
        "Distortion against perception",
        "worst",
        "comparison",
        "samples",
    ):
        assert name in page, name
    subprocess.run(["git", "checkout", "-q", "."], cwd=project.folder, check=True)
    project.dvc("checkout")
    assert project.generator() == before
    assert {path.name for path in curves.iterdir()} == all_curves
    assert project.repro() == ["code"]
    project.dvc("exp", "apply", "distortion")
    assert {path.name for path in curves.iterdir()} == {"loss.tsv", "mse.tsv"}
    assert "up to date" in project.dvc("status", "train")
    subprocess.run(["git", "checkout", "-q", "."], cwd=project.folder, check=True)
    project.dvc("checkout")


def test_a_queued_sweep_runs(project: Project) -> None:
    project.dvc("exp", "run", "--queue", "-S", "train.adv_weight=0.01,0.1", "train")
    project.dvc("exp", "run", "--run-all")
    table = project.dvc("exp", "show", "--csv", "--no-pager", "--all-commits")
    weights = {row["train.adv_weight"] for row in csv.DictReader(table.splitlines())}
    assert {"0.01", "0.1"} <= weights


def in_a_copy(project: Project, *options: str) -> "subprocess.Popen[str]":
    """Start an experiment in a copy of the project, which DVC removes at the end."""
    return subprocess.Popen(
        [sys.executable, "-m", "dvc", "exp", "run", *options],
        cwd=project.folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_an_experiment_in_a_copy_goes_on_after_sigterm(project: Project) -> None:
    """As a cluster's scheduler sends it, to all processes of a job."""
    checkpoints = project.folder / "models/checkpoints"
    known = set(checkpoints.glob("*"))
    changes = ("train.steps=50", "train.seed=4", "train.validate_every=50")
    options = ["--temp", *(part for change in changes for part in ("-S", change)), "train"]
    process = in_a_copy(project, *options)

    def fresh() -> list[Path]:
        folders = set(checkpoints.glob("*")) - known
        return [path for folder in folders for path in folder.glob("*.pt")]

    wait_until(lambda: bool(fresh()))
    os.killpg(process.pid, signal.SIGTERM)
    process.communicate()
    wait_until(lambda: not list(checkpoints.glob("*/lock.owner")))
    reached = max(int(path.stem.removeprefix("step-")) for path in fresh())
    assert reached < 50
    assert not list((project.folder / ".dvc/tmp/exps").rglob("step-*.pt"))
    process = in_a_copy(project, *options)
    _, messages = process.communicate()
    assert process.returncode == 0, messages
    assert f"training goes on from step {reached} of 50" in messages


def test_a_killed_training_goes_on_to_the_same_weights(project: Project) -> None:
    """SIGKILL to everything in the middle of train; the next `dvc repro` trains only the rest."""
    params = project.folder / "params.yaml"
    original = params.read_text()
    params.write_text(original.replace("  steps: 6\n", "  steps: 30\n"))
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "dvc", "repro", "train"],
            cwd=project.folder,
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        known = set((project.folder / "models/checkpoints").glob("*"))
        checkpoints = project.folder / "models/checkpoints"
        wait_until(lambda: any(path.parent not in known for path in checkpoints.glob("*/*.pt")))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert project.repro("train") == ["code", "train"]
        resumed = project.generator()
        (fresh,) = set((project.folder / "models/checkpoints").glob("*")) - known
        for file in fresh.iterdir():
            file.unlink()
        project.dvc("repro", "--force", "--single-item", "train")
        assert project.generator() == resumed
    finally:
        params.write_text(original)
        project.dvc("checkout")
