"""The command line itself: help, errors, exit codes, imports."""

import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.stages.program import end, pipeline, start

ROOT = Path(__file__).parents[2]
STAGES = ("scrape", "resize", "manifest", "train", "evaluate")


def test_help_names_every_command() -> None:
    result = pipeline(ROOT, "--help")
    assert result.code == 0
    for name in (
        *STAGES,
        "upscale",
        "serve",
        "export",
        "card",
        "models",
        "blend",
        "tradeoff",
        "pairs",
        "degrade",
        "clean",
        "booru",
        "demo",
    ):
        assert re.search(rf"^  {name} ", result.out, re.MULTILINE), name


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["blend", "", "b.safetensors"], "DISTORTION"),
        (["blend", "a.safetensors", "b.safetensors", "-o", ""], "--output"),
        (["export", "web", "--output="], "--output"),
        (["card", ""], "MODEL"),
        (["tradeoff", "-o", ""], "--output"),
        (["compare", "--rev", "HEAD", "--rev", ""], "--rev"),
        (["pairs", ""], "FOLDER"),
        (["init", ""], "FOLDER"),
        (["demo", "--folder", ""], "--folder"),
        (["booru", "--images", ""], "--images"),
        (["serve", "--model", ""], "--model"),
    ],
)
def test_an_empty_name_is_none(tmp_path: Path, arguments: list[str], name: str) -> None:
    result = pipeline(tmp_path, *arguments)
    assert (result.code, result.err) == (
        2,
        f"{name}: is empty; leave it out, or name something (this folder is .)\n",
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("module", ["stages.program", *(f"stages.{name}" for name in STAGES)])
def test_commands_import_nothing_heavy(module: str) -> None:
    heavy = "{'torch', 'torchvision', 'numpy', 'PIL', 'requests', 'dvc', 'dvclive'}"
    code = f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_is_a_module_too(name: str, tmp_path: Path) -> None:
    """Both forms give the same options, with the values of the `params.yaml` that is there."""
    (tmp_path / "params.yaml").write_text("scrape:\n  limit: 123\ntrain:\n  steps: 77\n")
    command = pipeline(tmp_path, name, "--help")
    module = subprocess.run(
        [sys.executable, "-m", f"stages.{name}", "--help"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert command.out.split("Options:")[1] == module.stdout.split("Options:")[1]
    shown = " ".join(command.out.split())
    if name == "scrape":
        assert "number of pictures to accept [params.yaml: 123]" in shown
    if name == "train":
        assert "[params.yaml: 77]" in shown


def test_help_answers_without_params(tmp_path: Path) -> None:
    result = pipeline(tmp_path, "scrape", "--help")
    assert result.code == 0
    assert "[default: 18000]" in " ".join(result.out.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--adv-wieght", "0"], "--adv-weight"),
        (["train", "--adv-weight", "x"], "--adv-weight: 'x' should be a valid number"),
        (["train", "--crop", "386"], "--crop: 386 is no multiple of train.scale 4"),
        (["train", "more"], "more"),
        (["scarpe"], "scarpe"),
        (["scrape", "--limit"], "--limit"),
        (["scrape", "--limit", "0"], "--limit: 0 should be greater than or equal to 1"),
        (["upscale"], "'pictures'. For example: pipeline upscale picture.png"),
        (["upscale", "-x.png"], "option: -x. A path that begins with - is typed as ./-x.png"),
        (["upscale", "--x.jpg"], "--x.jpg. A path that begins with - is typed as ./--x.jpg"),
        (["photo.JPG"], "'photo.JPG'. For example: pipeline upscale picture.png"),
        (["blend", "--alpha", "half"], "--alpha: half is no number"),
        (["serve", "--port", "80a"], "--port: 80a is no whole number; for example 80"),
        (["upscale", "x.png", "--device", "tpu"], "--device: tpu is unknown"),
        (["booru", "--port", "x"], "--port"),
        (["clean", "--remove", "everything"], "--remove: everything is neither kept here nor"),
        (["demo", "--port", "70000"], "--port: 70000 is more than 65535"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(
    arguments: list[str], message: str, tmp_path: Path
) -> None:
    (tmp_path / "params.yaml").write_text("{}")
    result = pipeline(tmp_path, *arguments)
    assert result.code == 2
    assert message in result.err
    assert len(result.err.strip().splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["params.yaml"]


@pytest.mark.parametrize("name", STAGES)
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "params.yaml: not found"),
        ("train:\n  adv_wieght: 0\n", "params.yaml:2: train.adv_wieght: unknown key"),
        ("train: [", "params.yaml:1: not valid YAML"),
    ],
)
def test_wrong_params_are_one_line_and_exit_2(
    name: str, text: str | None, message: str, tmp_path: Path
) -> None:
    if text is not None:
        (tmp_path / "params.yaml").write_text(text)
    result = pipeline(tmp_path, name)
    assert result.code == 2
    assert result.err.startswith(message)
    assert len(result.err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resize", "data/raw"),
        ("manifest", "data/"),
        ("train", "data/manifest.csv"),
        ("evaluate", "models/generator.safetensors"),
    ],
)
def test_a_stage_without_its_input_says_what_to_run_and_exits_1(
    name: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "params.yaml").write_text("{}")
    result = pipeline(tmp_path, name)
    assert result.code == 1
    assert message in result.err
    assert "pipeline " in result.err
    assert len(result.err.strip().splitlines()) == 1


def test_an_override_outside_dvc_names_the_reproducible_form(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("{}")
    arguments = ["train", "--adv-weight", "0", "--content-layers", "conv2_1,conv3_1"]
    note = "dvc exp run -S train.adv_weight=0 -S 'train.content_layers=[conv2_1,conv3_1]'"
    assert note in pipeline(tmp_path, *arguments).err
    under_dvc = pipeline(tmp_path, *arguments, DVC_STAGE="train")
    assert note not in under_dvc.err


def test_the_version_names_the_libraries_too(tmp_path: Path) -> None:
    result = pipeline(tmp_path, "--version")
    assert (result.code, result.err) == (0, "")
    first, second = result.out.splitlines()
    assert first == f"anime-sr-pipeline {version('anime-sr-pipeline')}"
    assert f"torch {version('torch')}" in second


def test_a_shell_completes_options(tmp_path: Path) -> None:
    words = {"COMP_WORDS": "pipeline train --generator.ki", "COMP_CWORD": "2"}
    # By its own name, which the variable has.
    result = end(start(tmp_path, _PIPELINE_COMPLETE="complete_bash", **words))
    assert (result.code, result.out.split()) == (0, ["--generator.kind"])


def test_a_param_of_a_kind_is_an_option(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("{}")
    arguments = ["train", "--generator.kind", "rrdb", "--generator.growth", "16"]
    note = "dvc exp run -S ++train.generator.kind=rrdb -S ++train.generator.growth=16"
    assert note in pipeline(tmp_path, *arguments).err
    wrong = pipeline(tmp_path, "train", "--generator.growth", "16")
    message = "--generator.growth: srresnet has none; remove it, or choose another kind\n"
    assert (wrong.code, wrong.err) == (2, message)


def test_an_error_of_the_program_keeps_its_traceback() -> None:
    code = """
from stages.runner import new_app, run_app
app = new_app()
@app.command()
def wrong() -> None:
    raise ValueError("a mistake")
run_app(app)
"""
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert result.stderr.startswith("Traceback")
    assert result.stderr.endswith("ValueError: a mistake\n")
