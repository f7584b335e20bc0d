"""`python -m stages.sync`: the files that are made from code are current, and stay so."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.params import Params
from stages.sync import contents
from tests.stages.test_app import ROOT

FILES = [path for path, _ in contents(Params())]


def sync(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "stages.sync", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The repository's files, with the default params, which a user may have changed."""
    for path, text in contents(Params()):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        if path.name == "params.yaml":
            (tmp_path / path).write_text(text, encoding="utf-8")
        else:
            shutil.copyfile(ROOT / path, tmp_path / path)
    return tmp_path


def test_the_repositorys_files_are_current(copy: Path) -> None:
    result = sync(copy, "--check")
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("name", [path.as_posix() for path in FILES])
def test_a_changed_file_is_named_and_written_anew(name: str, copy: Path) -> None:
    path = copy / name
    current = path.read_text(encoding="utf-8")
    path.write_text(current + "\n# of a hand\n", encoding="utf-8")
    result = sync(copy, "--check")
    message = f"{name}: not as the code has it; run make sync\n"
    assert (result.returncode, result.stderr) == (1, message)
    assert sync(copy).returncode == 0
    assert path.read_text(encoding="utf-8") == current
    assert sync(copy, "--check").returncode == 0


def test_a_missing_page_is_named(copy: Path) -> None:
    page = copy / "docs/reference/params.md"
    page.unlink()
    assert "docs/reference/params.md: not as the code has it" in sync(copy, "--check").stderr
    assert sync(copy).returncode == 0
    assert page.is_file()


def test_every_param_and_every_command_has_its_heading() -> None:
    texts = {path.name: text for path, text in contents(Params())}
    for key in (
        "scrape.site",
        "train.generator.kind",
        "train.optimiser.momentum",
        "evaluate.blend",
    ):
        assert f"\n### {key}\n" in texts["params.md"]
    for name in ("scrape", "evaluate", "upscale", "init", "code"):
        assert f"\n## pipeline {name}\n" in texts["commands.md"]
    assert "\nnumber, at least 0 and below 1; or `null` · default `null`\n" in texts["params.md"]
    assert "\n`rrdb`: integer, at least 1 · default `32`\n" in texts["params.md"]
    assert "- `--output`, `-o` `PATH`: file for one picture" in texts["commands.md"]


def test_wrong_usage_says_how() -> None:
    result = sync(ROOT, "--chekc")
    assert result.returncode == 1
    assert "usage:" in result.stderr
