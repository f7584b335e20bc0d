"""`pipeline train` as it is typed: files, screen, signals, exit codes."""

import csv
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.live_recorder import LiveRecorder
from tests.evaluation.world import make_world
from tests.stages.program import PROGRAM, end, fork, pipeline, start, wait_until

PARAMS = """\
train:
  generator: {blocks: 1, features: 8}
  crop: 32
  steps: 6
  pretrain_steps: 2
  vgg: random
  device: cpu
  log_every: 1
  validate_every: 3
  validation_images: 2
  checkpoint_seconds: 0.0
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("world")
    make_world(root, {"train": 4, "val": 2})
    (root / "models/generator.safetensors").unlink()
    return root


@pytest.fixture
def project(world: Path, tmp_path: Path) -> Path:
    (tmp_path / "data").symlink_to(world / "data")
    (tmp_path / "params.yaml").write_text(PARAMS)
    return tmp_path


def curve(project: Path, name: str) -> list[tuple[int, float]]:
    """A column of DVCLive's plots: step and value."""
    path = project / "reports/train/plots/metrics" / f"{name}.tsv"
    with path.open() as file:
        rows = csv.DictReader(file, delimiter="\t")
        return [(int(row["step"]), float(row[name.split("/")[-1]])) for row in rows]


def git(project: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
    subprocess.run(["git", *identity, *arguments], cwd=project, check=True)


def test_strengths_of_another_degradation_are_noted(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(
        "train:\n  degradation: heavy\n  degradation_strengths: {noise_prob: 0}\n"
    )
    result = pipeline(tmp_path, "train", "--degradation", "web", "--vgg", "random")
    assert (result.code, len(result.problems)) == (1, 1)
    assert (
        "note: train.degradation_strengths has no effect, because train.degradation is web\n"
        in result.err
    )


def test_makes_a_generator_and_its_curves_quietly(project: Path) -> None:
    result = pipeline(project, "train")
    assert result.code == 0, result.err
    assert result.out.startswith("models/generator.safetensors: 6 steps; val/psnr_y ")
    lines = result.err.splitlines()
    assert lines[0].startswith("note: train.vgg is random: ")
    (log,) = project.glob("reports/train/runs/*/log.jsonl")
    assert lines[1] == f"log: {log.relative_to(project)}"
    assert all(line.startswith(("read images: ", "step ", "train: ")) for line in lines[2:]), (
        result.err
    )
    metrics = json.loads((project / "reports/train/metrics.json").read_text())
    assert metrics["step"] == 6
    assert metrics["val"].keys() == {"psnr_y", "ssim_y"}
    assert [step for step, _ in curve(project, "train/loss")] == [1, 2, 3, 4, 5, 6]
    assert [step for step, _ in curve(project, "train/adversarial")] == [3, 4, 5, 6]
    assert [step for step, _ in curve(project, "val/psnr_y")] == [3, 6]
    with Image.open(project / "reports/train/samples.png") as samples:
        assert samples.size == (128, 128)


def test_curves_that_are_removed_during_a_training_are_whole_at_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`dvc repro` removes them before it runs the stage, which a running training then refuses."""
    monkeypatch.chdir(tmp_path)
    recorder = LiveRecorder(Path("reports/train"))
    recorder.start()
    recorder.figures(1, {"train/loss": 0.5})
    recorder.figures(1, {"val/psnr_y": 20.0})
    recorder.samples(np.zeros((4, 8, 3), np.uint8))
    shutil.rmtree(tmp_path / "reports/train")
    recorder.figures(2, {"train/loss": 0.25})
    recorder.end()
    assert curve(tmp_path, "train/loss") == [(1, 0.5), (2, 0.25)]
    assert curve(tmp_path, "val/psnr_y") == [(1, 20.0)]
    metrics = json.loads((tmp_path / "reports/train/metrics.json").read_text())
    assert metrics == {"train": {"loss": 0.25}, "val": {"psnr_y": 20.0}, "step": 2}
    with Image.open(tmp_path / "reports/train/samples.png") as samples:
        assert samples.size == (8, 4)


def test_curves_of_a_training_that_goes_on_are_those_that_were_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows: list[dict[str, float]] = [
        {"step": 1, "train/loss": 0.1, "train/d_hr": 1e-05},
        {"step": 2, "train/loss": 3.0},
        {"step": 2, "val/psnr_y": 20.123456789012345},
    ]
    logged, resumed = LiveRecorder(Path("logged")), LiveRecorder(Path("resumed"))
    logged.start()
    resumed.start(rows)
    for row in rows:
        logged.figures(int(row["step"]), {key: row[key] for key in row if key != "step"})
    assert contents(tmp_path / "resumed") == contents(tmp_path / "logged")
    for recorder in (logged, resumed):
        recorder.figures(3, {"train/loss": 0.5})
        recorder.end()
    assert contents(tmp_path / "resumed") == contents(tmp_path / "logged")


def contents(folder: Path) -> dict[str, bytes]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_after_sigterm_the_same_command_goes_on(project: Path) -> None:
    process = start(project, "train", "--steps", "2000")
    wait_until(lambda: any(project.glob("models/checkpoints/*/*.pt")))
    process.send_signal(signal.SIGTERM)
    result = end(process)
    assert result.code == 130
    assert result.problems[-1] == "interrupted; run the same command again to go on"
    newest = max(project.glob("models/checkpoints/*/*.pt"))
    reached = int(newest.stem.removeprefix("step-"))
    assert not (project / "models/generator.safetensors").exists()
    process = fork(project, "train", "--steps", "2000")
    wait_until(lambda: max(project.glob("models/checkpoints/*/*.pt")) != newest)
    process.send_signal(signal.SIGINT)
    assert f"training goes on from step {reached} of 2000" in end(process).problems
    steps = [step for step, _ in curve(project, "train/loss")]
    assert steps[: reached + 1] == list(range(1, reached + 2))


def test_the_log_of_a_killed_training_has_each_step_once(project: Path) -> None:
    arguments = ["train", "--steps", "2000", "--adv-weight", "0", "--checkpoint-seconds", "0.5"]
    process = fork(project, *arguments)
    wait_until(lambda: any(project.glob("models/checkpoints/*/*.pt")))
    process.kill()
    end(process)
    process = fork(project, *arguments)
    wait_until(lambda: len(list(project.glob("models/checkpoints/*/*.pt"))) > 1)
    process.send_signal(signal.SIGTERM)
    assert end(process).code == 130
    reached = int(max(project.glob("models/checkpoints/*/*.pt")).stem.removeprefix("step-"))
    (log,) = project.glob("reports/train/runs/*/log.jsonl")
    lines = [json.loads(text) for text in log.read_text().splitlines()]
    assert [line["step"] for line in lines if "train/loss" in line] == list(range(1, reached + 1))
    validated = [line["step"] for line in lines if "val/psnr_y" in line]
    assert validated == list(range(3, reached + 1, 3))
    assert lines[-1].keys() >= {"time", "lr", "images_per_second", "seconds_left", "memory_bytes"}


def test_a_logger_that_is_unknown_stops_the_training_first(project: Path) -> None:
    (project / "data").unlink()
    result = pipeline(project, "train", PIPELINE_LOGGERS="nobody")
    assert result.code == 2
    assert result.problems == ["PIPELINE_LOGGERS: 'nobody' is unknown; use tensorboard, wandb"]


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2])
def test_a_lost_terminal_and_a_schedulers_notice_save(number: int, project: Path) -> None:
    process = fork(project, "train", "--steps", "2000", "--checkpoint-seconds", "1000")
    loss = project / "reports/train/plots/metrics/train/loss.tsv"
    wait_until(lambda: loss.exists() and len(curve(project, "train/loss")) > 2)
    assert not any(project.glob("models/checkpoints/*/*.pt"))
    process.send_signal(number)
    result = end(process)
    assert result.code == 130
    assert result.problems[-1] == "interrupted; run the same command again to go on"
    (saved,) = project.glob("models/checkpoints/*/*.pt")
    command = result.problems[-2].split(": ")[1]
    assert command == f"pipeline upscale picture.png --model {saved.relative_to(project)}"


def test_before_the_first_step_a_notice_is_one_line(project: Path) -> None:
    process = start(project, "train")
    wait_until(lambda: any(project.glob("models/checkpoints/*/run.json")))
    process.send_signal(signal.SIGUSR1)
    result = end(process)
    assert result.code == 130
    assert "Traceback" not in result.err


def test_two_processes_train_and_go_on(project: Path) -> None:
    """The second time they are stopped by a notice to all of them.

    A scheduler sends it also to the process that keeps account of Python's semaphores.
    """
    arguments = ["train", "--processes", "2", "--steps", "400", "--log-every", "1"]
    process = start(project, *arguments, own_session=True)
    wait_until(lambda: any(project.glob("models/checkpoints/*/*.pt")))
    # To the first process alone, which ends the other: that would keep the streams open.
    process.send_signal(signal.SIGTERM)
    result = end(process)
    assert result.code == 130
    assert result.problems[-1] == "interrupted; run the same command again to go on"
    reached = int(max(project.glob("models/checkpoints/*/*.pt")).stem.removeprefix("step-"))
    process = start(project, *arguments, own_session=True)
    loss = project / "reports/train/plots/metrics/train/loss.tsv"
    wait_until(lambda: loss.exists() and len(curve(project, "train/loss")) > reached)
    os.killpg(process.pid, signal.SIGUSR1)
    result = end(process)
    assert f"training goes on from step {reached} of 400" in result.problems
    assert result.code == 130
    assert result.problems[-1] == "interrupted; run the same command again to go on"
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--device", "cuda:9"], 2, "--device: cuda:9: this machine has"),
        (
            ["--processes", "1", "--accumulate", "3"],
            2,
            "--accumulate: 2 crops on 1 process cannot make 3 equal parts on each",
        ),
        (["--processes", "3"], 2, "--processes: 3 cannot share a batch of 2 equally"),
        (
            ["--accumulate", "3"],
            2,
            "--accumulate: 2 crops on 2 processes cannot make 3 equal parts on each",
        ),
    ],
)
def test_what_no_process_can_do_is_one_line(
    arguments: list[str], code: int, message: str, project: Path
) -> None:
    result = pipeline(project, "train", "--processes", "2", *arguments)
    assert result.code == code
    assert len(result.problems) == 1
    assert result.problems[0].startswith(message)


def test_a_fault_of_one_of_several_processes_is_one_line(project: Path) -> None:
    (project / "reports").touch()
    result = pipeline(project, "train", "--processes", "2")
    assert result.code == 1
    assert result.problems == ["reports: is a file, and a folder is needed there; move it away"]


def test_a_full_disk_is_one_line_and_the_next_run_goes_on(project: Path) -> None:
    """A limit on the size of files, above that of the reports, stands in for it."""
    arguments = ["train", "--steps", "50", "--validate-every", "50"]
    process = fork(project, *arguments, "--checkpoint-seconds", "0")
    wait_until(lambda: any(project.glob("models/checkpoints/*/*.pt")))
    process.send_signal(signal.SIGTERM)
    assert end(process).code == 130
    saved = max(project.glob("models/checkpoints/*/*.pt"))
    reached = int(saved.stem.removeprefix("step-"))
    limited = f'ulimit -f 1000; exec "{PROGRAM}" {" ".join(arguments)}'
    ended = subprocess.run(
        ["bash", "-c", limited], cwd=project, capture_output=True, text=True, check=False
    )
    last = ended.stderr.splitlines()[-1]
    assert ended.returncode == 1
    assert f"step-{reached + 1:09}.pt: cannot be written: File too large; step {reached}" in last
    assert last.endswith(f"--model {saved.relative_to(project)}")
    assert "Traceback" not in ended.stderr
    result = pipeline(project, *arguments, "--checkpoint-seconds", "1000")
    assert result.code == 0
    assert f"training goes on from step {reached} of 50" in result.problems


@pytest.mark.limits_files
@pytest.mark.parametrize("blocks", [1, 9])
def test_a_full_disk_for_the_curves_is_one_line(blocks: int, project: Path) -> None:
    limited = f'ulimit -f {blocks}; exec "{PROGRAM}" train --checkpoint-seconds 1000'
    ended = subprocess.run(
        ["bash", "-c", limited], cwd=project, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert ": cannot be written: File too large" in ended.stderr.splitlines()[-1]
    assert "lower train.lr" not in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_second_training_of_the_same_run_names_the_first(project: Path) -> None:
    process = fork(project, "train", "--steps", "5000")
    wait_until(lambda: any(project.glob("models/checkpoints/*/*.pt")))
    result = pipeline(project, "train", "--steps", "5000")
    assert result.code == 1
    assert len(result.problems) == 1
    assert f"is running already (process {process.pid}, since " in result.problems[0]
    process.send_signal(signal.SIGTERM)
    assert end(process).code == 130


def test_a_repository_with_a_commit_is_left_alone(project: Path) -> None:
    git(project, "init", "-q")
    git(project, "add", "params.yaml")
    git(project, "commit", "-q", "-m", "x")
    assert pipeline(project, "train", "--adv-weight", "0").code == 0
    assert not (project / "dvc.yaml").exists()
    assert not list(project.rglob("*.html"))


def test_a_repository_without_a_commit_is_one_line(project: Path) -> None:
    git(project, "init", "-q")
    result = pipeline(project, "train")
    assert result.code == 1
    assert len(result.problems) == 1
    assert result.problems[0].startswith("git: ")
    assert "git commit" in result.problems[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--crop", "96"], "--crop: 96 is larger than the images of data/manifest.csv"),
        (
            ["--vgg", "randm"],
            "--vgg: randm is no file or folder, nor one of imagenet, random (did you mean random?)",
        ),
        (
            ["--init", "destortion"],
            "--init: destortion is no file, and no model that is here (article-distortion, "
            "article-perception, distortion, perception, web) (did you mean distortion?)",
        ),
        (
            ["--degradation-strengths", "nois=7"],
            "--degradation-strengths: nois: unknown key (did you mean noise_prob or noise_range?)",
        ),
        (["--device", "cuda:9"], "--device: cuda:9: this machine has"),
    ],
)
def test_what_cannot_work_is_one_line(arguments: list[str], message: str, project: Path) -> None:
    result = pipeline(project, "train", *arguments)
    assert result.code == 2
    assert len(result.problems) == 1
    assert result.problems[0].startswith(message)


def test_without_a_manifest_the_stage_before_is_named(project: Path) -> None:
    (project / "data").unlink()
    result = pipeline(project, "train")
    assert result.code == 1
    assert result.err.startswith("data/manifest.csv: not found; run pipeline manifest first, or ")


def test_under_dvc_what_evaluate_needs_is_looked_for_first(project: Path) -> None:
    (project / "params.yaml").write_text(
        PARAMS + "evaluate:\n  models:\n    mse: mse.safetensors\n  hr_folder: own\n"
    )
    result = pipeline(project, "train", DVC_STAGE="train")
    assert result.code == 2
    assert result.err.splitlines() == [
        "evaluate.models.mse: mse.safetensors: no such file or folder; put a copy into "
        "inputs/evaluate and name that",
        "evaluate.hr_folder: own: no such file or folder; put a copy into inputs/evaluate and "
        "name that",
    ]
    assert not (project / "models/generator.safetensors").exists()


def test_under_dvc_models_of_another_scale_are_found_before_the_training(project: Path) -> None:
    (project / "params.yaml").write_text(PARAMS + "evaluate:\n  models: {best: distortion}\n")
    result = pipeline(project, "train", "--scale", "2", DVC_STAGE="train")
    assert (result.code, result.problems) == (
        2,
        [
            "evaluate.models.best: enlarges 4 times, the generator of --scale 2 does not, so that "
            "they cannot be compared; remove it"
        ],
    )


def test_under_dvc_a_split_without_images_is_found_before_the_training(project: Path) -> None:
    result = pipeline(project, "train", DVC_STAGE="train")
    assert (result.code, result.problems) == (
        1,
        [
            "data/manifest.csv: no image in the split test; raise manifest.test_fraction, or "
            "choose another split (evaluate.split)"
        ],
    )


def test_a_file_that_dvc_does_not_watch_is_named(project: Path) -> None:
    pipeline(project, "train", "--steps", "3")
    (project / "models/generator.safetensors").rename(project / "first.safetensors")
    with (project / "params.yaml").open("a") as file:
        file.write("evaluate:\n  split: val\n")
    result = pipeline(project, "train", "--init", "first.safetensors", DVC_STAGE="train")
    assert result.code == 0, result.err
    assert (
        "note: train.init: DVC does not see when first.safetensors changes; it does so in "
        "inputs/train"
    ) in result.err.splitlines()
