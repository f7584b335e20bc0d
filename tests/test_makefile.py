"""`make test` and `make quick`: the order of lint, types and tests, and what is shown of each."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).parents[1] / "Makefile"
TYPE_ERRORS = ("a.py:1: error: wrong", "Found 1 error in 1 file")


def make(folder: Path, target: str, tools: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a target with shell scripts as the tools in `.venv/bin`."""
    shutil.copy(MAKEFILE, folder)
    programs = folder / ".venv/bin"
    programs.mkdir(parents=True)
    (folder / "pyproject.toml").touch()
    (folder / "constraints.txt").touch()
    for name, script in {"python": "", **tools}.items():
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    (folder / ".venv/.installed-dev").touch()
    # Of the make that runs the tests nothing is passed on.
    outside = {name: os.environ[name] for name in os.environ if not name.startswith("MAKE")}
    return subprocess.run(
        ["make", "--silent", target],
        cwd=folder,
        env=outside,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize("target", ["test", "quick"])
class TestChecks:
    """The tools wait for each other by files, so that their order is no chance."""

    def test_nothing_runs_after_an_error_of_lint(self, target: str, tmp_path: Path) -> None:
        tools = {"ruff": "echo bad; exit 1", "mypy": "echo types", "pytest": "echo tests"}
        result = make(tmp_path, target, tools)
        assert (result.returncode, result.stdout) == (2, "bad\n")

    def test_errors_of_types_are_one_block_and_told_again(
        self, target: str, tmp_path: Path
    ) -> None:
        first, last = TYPE_ERRORS
        wait = "for _ in $(seq 600); do [ -e {} ] && break; sleep .1; done"
        tools = {
            "ruff": "",
            "mypy": f"echo {first}; touch begun; {wait.format('tested')}; echo {last}; exit 1",
            "pytest": f"{wait.format('begun')}; echo tests; touch tested; echo passed",
        }
        result = make(tmp_path, target, tools)
        assert result.returncode == 2
        lines = result.stdout.splitlines()
        assert lines[0] == "tests"
        assert tuple(lines[-2:]) == TYPE_ERRORS
        shown = lines.index(first)
        assert lines[shown + 1] == last
        assert sorted(lines) == sorted([*TYPE_ERRORS * 2, "tests", "passed"])
