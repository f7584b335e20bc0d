"""Two runs of a stage in one project: the second one is refused, the first one's result whole."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.locks import hold, living_owner
from stages.program import STAGES
from tests.evaluation.world import make_world
from tests.images.originals import drawing, write_originals
from tests.stages.program import PATIENCE_SECONDS, end, pipeline, start, wait_until
from tests.stages.test_train import PARAMS

ROOT = Path(__file__).parents[2]
LOCKS = {stage.name: stage.lock for stage in STAGES}


def run_beside(folder: Path, name: str, *options: str) -> None:
    """Start a stage, refuse a second run with `options` in the middle of it, let it end well."""
    process = start(folder, name)
    wait_until(lambda: living_owner(folder / LOCKS[name]) is not None)
    process.send_signal(signal.SIGSTOP)
    second = pipeline(folder, name, *options)
    process.send_signal(signal.SIGCONT)
    first = end(process)
    assert first.code == 0, first.err
    assert second.code == 1
    (line,) = second.problems
    assert line.startswith(f"{LOCKS[name]}: pipeline {name} is running already ")
    assert line.endswith(f"stop it: kill {process.pid}")


@pytest.mark.parametrize("name", LOCKS)
def test_every_stage_is_refused_beside_itself(name: str, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("{}")
    before = {"params.yaml", str(LOCKS[name].parts[0])}
    with hold(tmp_path / LOCKS[name], f"pipeline {name}"):
        result = pipeline(tmp_path, name)
    assert result.code == 1
    assert result.err.startswith(f"{LOCKS[name]}: pipeline {name} is running already ")
    assert len(result.err.splitlines()) == 1
    assert {path.name for path in tmp_path.iterdir()} == before


def test_a_check_that_removes_files_is_refused_beside_a_scrape(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("{}")
    with hold(tmp_path / LOCKS["scrape"], "pipeline scrape"):
        result = pipeline(tmp_path, "scrape", "--check")
    assert result.code == 1
    assert result.err.startswith(f"{LOCKS['scrape']}: pipeline scrape is running already ")


def test_a_stage_as_a_module_is_refused_too(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("{}")
    with hold(tmp_path / LOCKS["resize"], "pipeline resize"):
        result = subprocess.run(
            [sys.executable, "-m", "stages.resize"],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
    assert (result.returncode, "is running already" in result.stderr) == (1, True)


def test_two_scrapes_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    for number in range(20):
        drawing(number, 70, 80).save(tmp_path / f"pictures/{number}.png")
    folder = tmp_path / "project"
    folder.mkdir()
    site = (tmp_path / "pictures").as_uri()
    values = f"site: {site}, limit: 20, min_side: 8, excluded_tags: []"
    (folder / "params.yaml").write_text(f"scrape: {{{values}}}\n")
    run_beside(folder, "scrape")
    assert len(list((folder / "data/raw").glob("*.png"))) == 20
    assert len((folder / "data/raw/posts.jsonl").read_text().splitlines()) == 20


def test_two_resizes_of_other_sizes(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(
        "resize: {size: 32, shard_size: 5}\ntrain: {crop: 16}\n"
        "manifest: {min_count: 1, val_fraction: 0.2, test_fraction: 0.2}\n"
    )
    write_originals(tmp_path / "data/raw", {id: drawing(id) for id in range(1, 13)})
    run_beside(tmp_path, "resize", "--size", "48")
    lines = (tmp_path / "data/resized/index.jsonl").read_text().splitlines()
    assert len(lines) == 12
    assert pipeline(tmp_path, "manifest").code == 0
    checked = pipeline(tmp_path, "manifest", "--check")
    assert checked.code == 0, checked.err
    assert {json.loads(line)["scale"] for line in lines} == {32 / 40}


def test_two_trainings(tmp_path: Path) -> None:
    make_world(tmp_path, {"train": 4, "val": 2})
    (tmp_path / "params.yaml").write_text(PARAMS)
    run_beside(tmp_path, "train", "--processes", "2")
    loss = tmp_path / "reports/train/plots/metrics/train/loss.tsv"
    assert [line.split("\t")[0] for line in loss.read_text().splitlines()[1:]] == list("123456")


def test_reading_needs_no_lock(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("{}")
    with hold(tmp_path / LOCKS["manifest"], "pipeline manifest"):
        result = pipeline(tmp_path, "manifest", "--check")
    assert result.err.startswith("data/manifest.csv: not found")


@pytest.mark.parametrize(("rank", "refused"), [("0", True), ("1", False)])
def test_the_first_of_torchruns_processes_holds_the_lock(
    rank: str, refused: bool, tmp_path: Path
) -> None:
    (tmp_path / "params.yaml").write_text("{}")
    with hold(tmp_path / LOCKS["evaluate"], "pipeline evaluate"):
        result = pipeline(tmp_path, "evaluate", TORCHELASTIC_RUN_ID="none", RANK=rank)
    assert result.code == 1
    assert ("is running already" in result.err) == refused
