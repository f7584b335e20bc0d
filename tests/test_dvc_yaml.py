"""`dvc.yaml` against the code: every stage depends on just the modules that shape its results."""

import ast
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
PIPELINE = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]

# These speak to the user, or say when processes run and end; the values that they carry are tracked
# as params. A better help text must not cost a week of training.
SPEAKING = {
    "pipeline/errors.py",
    "pipeline/locks.py",
    "pipeline/params.py",
    "pipeline/params_file.py",
    "pipeline/processes.py",
    "pipeline/progress.py",
    "stages/common.py",
    "stages/console.py",
    "stages/streams.py",
}
# Gives `Upscaler` to those who ask for it; no stage does.
FRONT_DOOR = "pipeline/__init__.py"


def module_files(name: str) -> list[Path]:
    """The files that `import name` runs: the module and the packages above it, unless empty."""
    parts = name.split(".")
    folders = [ROOT.joinpath(*parts[:end], "__init__.py") for end in range(1, len(parts) + 1)]
    files = [*folders, ROOT.joinpath(*parts).with_suffix(".py")]
    return [path for path in files if path.is_file() and path.stat().st_size]


def imported(path: Path) -> set[Path]:
    """The files of this project that `path` imports, at its top or inside a function."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    ours = {name for name in names if name.split(".")[0] in ("pipeline", "stages")}
    return {file for name in ours for file in module_files(name)}


def closure(stage: str) -> set[str]:
    found: set[Path] = set()
    todo = [ROOT / "stages" / f"{stage}.py"]
    while todo:
        path = todo.pop()
        name = path.relative_to(ROOT).as_posix()
        if path not in found and name not in (SPEAKING | {FRONT_DOOR}):
            found.add(path)
            todo += imported(path)
    return {path.relative_to(ROOT).as_posix() for path in found}


@pytest.mark.parametrize("stage", PIPELINE)
def test_code_dependencies_are_the_import_graph(stage: str) -> None:
    listed = [name for name in PIPELINE[stage]["deps"] if name.startswith(("pipeline/", "stages/"))]
    python = {name for name in listed if name.endswith(".py")}
    assert python == closure(stage)
    assert listed == sorted(set(listed))
    assert all((ROOT / name).is_file() for name in listed)


@pytest.mark.parametrize("stage", PIPELINE)
def test_a_stage_has_one_name_everywhere(stage: str) -> None:
    entry = PIPELINE[stage]
    assert entry["cmd"] == f"pipeline {stage}"
    assert entry["params"] == [stage]
    assert entry["desc"]


def test_the_stages_form_the_chain() -> None:
    assert list(PIPELINE) == ["scrape", "resize", "manifest", "train", "evaluate"]


@pytest.mark.parametrize("folder", ["networks", "training", "evaluation", "images", "booru"])
def test_the_library_imports_no_stage(folder: str) -> None:
    for path in (ROOT / "pipeline" / folder).rglob("*.py"):
        assert not any(file.is_relative_to(ROOT / "stages") for file in imported(path)), path


def test_networks_read_no_params() -> None:
    for path in (ROOT / "pipeline" / "networks").rglob("*.py"):
        assert ROOT / "pipeline" / "params.py" not in imported(path), path
