"""`pipeline init`, from a clone and from a wheel."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from pipeline.fingerprints import ROOT
from pipeline.params import Params
from pipeline.params.file import load_params
from stages.project import FILES, commit, create_project
from tests.stages.program import pipeline


def git(folder: Path, *arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def files_of(folder: Path) -> dict[str, bytes]:
    names = git(folder, "ls-files").splitlines()
    return {name: (folder / name).read_bytes() for name in names}


def test_a_new_project_has_the_defaults_and_a_commit(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    result = pipeline(tmp_path, "init", "mine")
    assert (result.code, result.err) == (0, "")
    assert "dvc repro" in result.out
    assert load_params(folder / "params.yaml") == Params()
    assert set(files_of(folder)) == {*FILES, ".dvc/config", "README.md", "dvc.yaml", "params.yaml"}
    assert git(folder, "status", "--porcelain") == ""
    assert pipeline(folder, "code").code == 0
    assert git(folder, "status", "--porcelain").splitlines() == ["?? reports/code/"]


def test_an_update_replaces_the_programs_files_and_keeps_the_users(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    create_project(folder, {"train": {"batch": 7}}, "A new project")
    current = files_of(folder)
    (folder / "dvc.yaml").write_text("stages: {}\n")
    (folder / ".dvc/plots/plane.json").unlink()
    (folder / "README.md").write_text("Mine.\n")
    result = pipeline(tmp_path, "init", "mine", "--update")
    assert result.code == 2
    assert result.err == "mine: dvc.yaml would be lost; commit your changes first\n"
    git(folder, "commit", "--quiet", "--all", "-m", "As an earlier version had it")
    result = pipeline(tmp_path, "init", "mine", "--update")
    assert (result.code, result.out) == (0, "mine: .dvc/plots/plane.json, dvc.yaml changed\n")
    for name in (".dvc/plots/plane.json", "dvc.yaml", "params.yaml"):
        assert (folder / name).read_bytes() == current[name]
    assert (folder / "README.md").read_text() == "Mine.\n"
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", "Updated")
    assert pipeline(folder, "init", ".", "--update").out == ".: nothing changed\n"


def test_only_a_project_can_be_updated(tmp_path: Path) -> None:
    result = pipeline(tmp_path, "init", ".", "--update")
    assert result.code == 2
    assert result.err == ".: is no project: it has no dvc.yaml and params.yaml\n"
    assert pipeline(ROOT, "init", ".", "--update").err.endswith("update it by git pull\n")


def test_an_update_loses_nothing_that_git_does_not_know(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    create_project(folder, {}, "A new project")
    git(folder, "rm", "--quiet", "--cached", "dvc.yaml")
    git(folder, "-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet", "-m", "Mine")
    (folder / "dvc.yaml").write_text("stages: {}  # precious\n")
    assert pipeline(folder, "init", ".", "--update").code == 2
    assert "precious" in (folder / "dvc.yaml").read_text()


def test_an_update_outside_git_is_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    create_project(folder, {}, "A new project")
    shutil.rmtree(folder / ".git")
    result = pipeline(folder, "init", ".", "--update")
    assert (result.code, len(result.err.splitlines())) == (2, 1)
    assert result.err.startswith(".: is no git repository")


def test_a_clone_elsewhere_is_no_project(tmp_path: Path) -> None:
    create_project(tmp_path / "clone", {}, "A new project")
    shutil.copy(ROOT / "pyproject.toml", tmp_path / "clone")
    result = pipeline(tmp_path, "init", "clone", "--update")
    assert (result.code, result.err.endswith("update it by git pull\n")) == (2, True)


def test_a_commit_of_reports_holds_none_of_dvcs_outputs(tmp_path: Path) -> None:
    """DVC refuses an output that git tracks."""
    create_project(tmp_path / "mine", {}, "A new project")
    for name in ("plots/metrics/loss.tsv", "metrics.json"):
        path = tmp_path / "mine/reports/train" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    commit(tmp_path / "mine", ["reports"], "Results")
    last = git(tmp_path / "mine", "show", "--name-only", "--format=", "HEAD").split()
    assert last == ["reports/train/metrics.json"]


def test_files_that_the_user_ignores_are_in_the_project_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ignore").write_text("data/\n.gitkeep\n*.yaml\n")
    (tmp_path / "gitconfig").write_text(f"[core]\n\texcludesFile = {tmp_path / 'ignore'}\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    create_project(tmp_path / "mine", {}, "A new project")
    names = {"dvc.yaml", "params.yaml", "data/.gitignore", "inputs/train/.gitkeep"}
    assert names <= files_of(tmp_path / "mine").keys()


def test_without_an_identity_of_git_the_project_has_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    create_project(tmp_path / "mine", {}, "A new project")
    assert git(tmp_path / "mine", "log", "--format=%an %ae") == "pipeline pipeline@localhost\n"


def test_where_something_is_already_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("mine")
    result = pipeline(tmp_path, "init", ".")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "holds something already" in result.err
    assert pipeline(tmp_path, "init", "kept").err == "kept: is a file; name a folder\n"
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_another_repository_is_no_place_for_a_project(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    result = pipeline(tmp_path, "init", "inner")
    assert result.code == 2
    assert f"inner: lies in the git repository {tmp_path}" in result.err
    assert pipeline(tmp_path, "init", ".").code == 0


def test_a_wheel_makes_the_same_project(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    for name in ("pipeline/py.typed", "pipeline/shipped/distortion.safetensors"):
        assert (installed / name).is_file()
    program = "from stages import app, project; assert project.WHEEL_FILES.is_dir(); app.main()"
    subprocess.run(
        [sys.executable, "-c", program, "init", "mine"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(installed)},
        check=True,
    )
    create_project(tmp_path / "expected", {}, "A new project")
    assert files_of(tmp_path / "mine") == files_of(tmp_path / "expected")
