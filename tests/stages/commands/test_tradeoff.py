"""`pipeline tradeoff` over real experiments of DVC, of a project whose training is one line."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.locks import hold, lock_file
from tests.stages.program import pipeline

PARAMS = "train:\n  adv_weight: 1.0\n"
STAGES = """\
stages:
  evaluate:
    cmd: python measure.py
    params: [train]
    outs: [reports/metrics.json: {cache: false}]
metrics: [reports/metrics.json]
"""
MEASURE = """\
import json, pathlib
weight = float(pathlib.Path("params.yaml").read_text().split()[-1])
scores = {"rmse_y": 10 + weight, "psnr_y": 28 - weight, "swd": 0.2 - weight / 10}
pathlib.Path("reports").mkdir(exist_ok=True)
methods = ("bicubic", "model")
metrics = {f"{method}.{key}": scores[key] for method in methods for key in scores}
pathlib.Path("reports/metrics.json").write_text(json.dumps(metrics))
"""


def run(folder: Path, *command: str) -> None:
    here = Path(sys.executable).parent
    names = ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL")
    environment = os.environ | dict.fromkeys(names, "test")
    environment["PATH"] = f"{here}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A commit with metrics, and two experiments from it."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "params.yaml").write_text(PARAMS)
    (folder / "dvc.yaml").write_text(STAGES)
    (folder / "measure.py").write_text(MEASURE)
    run(folder, "git", "init", "--quiet")
    run(folder, "dvc", "init", "--quiet")
    run(folder, "dvc", "repro", "--quiet")
    run(folder, "git", "add", ".")
    run(folder, "git", "commit", "--quiet", "-m", "baseline")
    for weight in ("0", "0.5"):
        run(folder, "dvc", "exp", "run", "--temp", "--quiet", "-S", f"train.adv_weight={weight}")
    return folder


def test_a_second_run_beside_it_is_refused(project: Path) -> None:
    lock = lock_file(Path("refused"), "tradeoff")
    with hold(project / lock, "pipeline tradeoff"):
        result = pipeline(project, "tradeoff", "-o", "refused")
    assert result.code == 1
    assert result.err.startswith(f"{lock}: pipeline tradeoff is running already (process ")
    assert not list((project / "refused").glob("plane.*"))


def test_every_experiment_is_a_point_and_one_curve_connects_them(project: Path) -> None:
    result = pipeline(project, "tradeoff")
    assert result.code == 0, result.err
    assert "adv_weight 0.5: PSNR_Y 27.50 dB, swd 0.1500" in result.out.splitlines()
    with (project / "reports/tradeoff/plane.csv").open() as file:
        rows = list(csv.DictReader(file))
    points = {row["method"]: (row["rmse"], row["curve"]) for row in rows}
    assert points == {
        "adv_weight 1": ("11.0", "1"),
        "adv_weight 0.5": ("10.5", "1"),
        "adv_weight 0": ("10.0", "1"),
        "bicubic": ("11.0", ""),
    }
    assert {path.name for path in (project / "reports/tradeoff").iterdir()} == {
        ".locks",
        "plane.csv",
        "plane.png",
        "plane.svg",
    }


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--rev", "absent"], 1, "dvc: unknown Git revision 'absent'; "),
        (["--by", "train.vgg"], 2, "--by: train.vgg is no number in all experiments"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(
    project: Path, arguments: list[str], code: int, message: str
) -> None:
    result = pipeline(project, "tradeoff", *arguments)
    assert result.code == code
    assert len(result.problems) == 1
    assert result.problems[0].startswith(message)


def test_without_metrics_it_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(PARAMS)
    run(tmp_path, "git", "init", "--quiet")
    run(tmp_path, "dvc", "init", "--quiet")
    run(tmp_path, "git", "add", ".")
    run(tmp_path, "git", "commit", "--quiet", "-m", "empty")
    result = pipeline(tmp_path, "tradeoff")
    assert result.code == 1
    assert result.problems == [
        "no experiment here has metrics; commit the reports of `dvc repro`, run some with "
        "`dvc exp run`, then try again"
    ]
