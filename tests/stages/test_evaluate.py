"""The command `pipeline evaluate`, run as a user runs it."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pipeline.files import sha256_of
from pipeline.networks.perceptual.weights import FOLDER_VARIABLE
from stages.evaluate import revision
from tests.evaluation.world import drawing, make_world
from tests.stages.program import Finished, pipeline

PARAMS = "evaluate:\n  device: cpu\n  detail: 32\n  pictures: 2\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    make_world(tmp_path, {"train": 1, "test": 2})
    (tmp_path / "params.yaml").write_text(PARAMS)
    (tmp_path / "no-weights").mkdir()
    return tmp_path


def evaluate(project: Path, *options: str) -> Finished:
    return pipeline(project, "evaluate", *options, **{FOLDER_VARIABLE: str(project / "no-weights")})


def page(project: Path) -> str:
    text = (project / "reports/index.html").read_text(encoding="utf-8")
    return " ".join(text.split())


def git(project: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    command = ["git", *identity, *arguments]
    return subprocess.run(
        command, cwd=project, capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.fixture
def commit(project: Path) -> str:
    git(project, "init", "--quiet")
    git(project, "add", "params.yaml")
    git(project, "commit", "--quiet", "-m", "params")
    return git(project, "rev-parse", "HEAD")


def test_writes_the_reports_and_prints_the_means(project, commit):
    result = evaluate(project)
    assert result.code == 0, result.err
    metrics = json.loads((project / "reports/metrics.json").read_text())
    assert f"model: PSNR_Y {metrics['model.psnr_y']:.2f} dB" in result.out
    assert result.out.splitlines()[-1].startswith("reports/index.html: ")
    page = (project / "reports/index.html").read_text(encoding="utf-8")
    assert commit in page
    assert "Not measured: LPIPS." in page


def test_without_a_model_it_says_to_train(project):
    (project / "models/generator.safetensors").unlink()
    result = evaluate(project)
    assert result.code == 1
    assert result.err.splitlines() == [
        "models/generator.safetensors: no such file; `pipeline train` makes a model"
    ]
    assert [path.name for path in (project / "reports").iterdir()] == [".locks"]


def test_other_models_are_looked_for_first_and_named_by_their_sha256(project, monkeypatch):
    mse = project / "mse.safetensors"
    (project / "params.yaml").write_text(PARAMS + "  models:\n    mse: mse.safetensors\n")
    result = evaluate(project)
    assert result.code == 2
    assert result.err.splitlines() == [
        "evaluate.models.mse: mse.safetensors: no such file or folder; put a copy into "
        "inputs/evaluate and name that"
    ]
    mse.write_bytes((project / "models/generator.safetensors").read_bytes())
    monkeypatch.setenv("DVC_STAGE", "evaluate")
    result = evaluate(project)
    assert result.code == 0, result.err
    assert (
        "note: evaluate.models.mse: DVC does not see when mse.safetensors changes; it does so in "
        "inputs/evaluate"
    ) in result.err.splitlines()
    page = (project / "reports/index.html").read_text(encoding="utf-8")
    assert page.count(sha256_of(mse)) == 2


def test_folders_of_ones_own_need_no_manifest(project: Path) -> None:
    for number, size in enumerate(((97, 62), (40, 130))):
        picture = drawing(number, 140).crop((0, 0, *size))
        for folder, factor in (("hr", 1), ("lr", 4)):
            (project / folder).mkdir(exist_ok=True)
            small = (size[0] // factor, size[1] // factor)
            picture.resize(small).save(project / folder / f"{number}.png")
    shutil.rmtree(project / "data")
    result = evaluate(project, "--hr-folder", "hr")
    assert result.code == 0, result.err
    assert not any(line.startswith("note: evaluate.") for line in result.err.splitlines())
    assert "2 pictures of the folder hr were measured" in page(project)
    options = ("--split", "val", "--degradation", "web")
    result = evaluate(project, "--hr-folder", "hr", "--lr-folder", "lr", *options)
    assert result.code == 0, result.err
    notes = [line for line in result.err.splitlines() if line.startswith("note: evaluate.")]
    assert notes == [
        "note: evaluate.split has no effect, because evaluate.hr_folder is set",
        "note: evaluate.degradation has no effect, because evaluate.lr_folder is set",
    ]
    assert "with the LR images of the folder lr." in page(project)


def test_folders_are_looked_for_first_and_watched(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = "no such file or folder; put a copy into inputs/evaluate and name that"
    result = evaluate(project, "--hr-folder", "hr", "--lr-folder", "lr")
    assert result.code == 2
    assert result.err.splitlines() == [
        f"--hr-folder: hr: {missing}",
        f"--lr-folder: lr: {missing}",
    ]
    for folder in ("inputs/evaluate/hr", "lr"):
        (project / folder).mkdir(parents=True)
        drawing(1, 64 if folder != "lr" else 16).save(project / folder / "1.png")
    monkeypatch.setenv("DVC_STAGE", "evaluate")
    result = evaluate(project, "--hr-folder", "inputs/evaluate/hr", "--lr-folder", "lr")
    assert result.code == 0, result.err
    assert [line for line in result.err.splitlines() if "DVC does not see" in line] == [
        "note: evaluate.lr_folder: DVC does not see when lr changes; it does so in inputs/evaluate"
    ]


def test_a_problem_is_named_by_the_option_or_the_key_that_gave_the_value(project: Path) -> None:
    (project / "empty").mkdir()
    model = "models/generator.safetensors"
    for param, name, value, problem in (
        ("results", "a", "gone", "gone: no such file or folder; put a copy into inputs/evaluate"),
        ("results", "a", "empty", "empty holds no file that ends in .png, "),
        ("models", "a", "params.yaml", "params.yaml: is text, not a model; it begins: evaluate:"),
        ("models", "bicubic", model, "is the name of another method; take another one"),
    ):
        result = evaluate(project, f"--{param}", f"{name}={value}")
        assert result.code == 2
        assert result.err.startswith(f"--{param}: {name}: {problem}")
        (project / "params.yaml").write_text(f"{PARAMS}  {param}: {{{name}: {value}}}\n")
        result = evaluate(project)
        assert result.code == 2
        assert result.err.startswith(f"evaluate.{param}.{name}: {problem}")
        (project / "params.yaml").write_text(PARAMS)


def test_the_revision_notes_changed_code_only(project, commit, monkeypatch):
    monkeypatch.chdir(project)
    assert revision() == commit
    (project / "notes.txt").write_text("not code")
    assert revision() == commit
    (project / "params.yaml").write_text(PARAMS + "  seed: 1\n")
    assert revision() == f"{commit}, with changes that are not committed"


def test_outside_git_there_is_no_revision(project, monkeypatch):
    monkeypatch.chdir(project)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(project.parent))
    assert revision() is None


def test_git_is_only_read(project: Path, commit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    # Another time and the same content: a plain `git status` would write the index anew.
    os.utime(project / "params.yaml", (0, 0))
    index = (project / ".git/index").read_bytes()
    assert revision() == commit
    assert (project / ".git/index").read_bytes() == index


def test_a_damaged_index_is_no_sign_of_a_clean_folder(
    project: Path, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    (project / ".git/index").write_bytes(b"damaged")
    assert revision() is None
