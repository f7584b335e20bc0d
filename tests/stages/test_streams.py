"""Output that is closed, full or read by nobody: no traceback, and no work ended by a message."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.stages.program import PATIENCE_SECONDS, PROGRAM


def shell(command: str, unbuffered: str = "") -> "subprocess.CompletedProcess[str]":
    """Run a command line of bash in which `pipeline` is the program."""
    return subprocess.run(
        ["bash", "-c", f'pipeline() {{ {PROGRAM} "$@"; }}; set -o pipefail; {command}'],
        env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


needs_full_device = pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="needs Linux's /dev/full"
)


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    ("command", "code", "problem"),
    [
        ("pipeline --help | true", (1,), ""),
        ("pipeline models | head -1 > /dev/null", (0, 1), ""),
        ("pipeline --help >&-", (0,), ""),
        pytest.param(
            "pipeline --help > /dev/full",
            (1,),
            "standard output: No space left on device\n",
            marks=needs_full_device,
        ),
        ("pipeline scarpe 2>&-", (2,), ""),
        pytest.param("pipeline scarpe 2> /dev/full", (2,), "", marks=needs_full_device),
    ],
)
def test_output_that_goes_nowhere(
    command: str, code: tuple[int, ...], problem: str, unbuffered: str
) -> None:
    result = shell(command, unbuffered)
    assert result.returncode in code
    assert result.stderr == problem


def test_a_closed_stream_is_no_place_for_a_file(tmp_path: Path) -> None:
    """The first file that is opened would take its number, and what is printed go into it."""
    path = tmp_path / "params.yaml"
    path.write_text("{}")
    result = shell(f"cd {tmp_path}; pipeline manifest >&- 2>&-")
    assert (result.returncode, path.read_text()) == (1, "{}")
    assert (tmp_path / "data/.locks/manifest.lock").read_bytes() == b""
