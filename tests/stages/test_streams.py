"""Output that is closed, full or read by nobody: no traceback, and no work ended by a message."""

import os
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from tests.scraping.site import ScriptedSite
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


CLOSED = (
    "standard output: is closed, so what was printed there is lost; send it to a file, or to "
    "/dev/null\n"
)


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    ("command", "code", "problem"),
    [
        ("pipeline --help >&-", 1, CLOSED),
        ("pipeline models >&-", 1, CLOSED),
        ("pipeline --show-completion >&-", 1, CLOSED),
        pytest.param(
            "pipeline --help > /dev/full",
            1,
            "standard output: No space left on device\n",
            marks=needs_full_device,
        ),
        ("pipeline scarpe 2>&-", 2, ""),
        pytest.param("pipeline scarpe 2> /dev/full", 2, "", marks=needs_full_device),
    ],
)
def test_output_that_goes_nowhere(command: str, code: int, problem: str, unbuffered: str) -> None:
    result = shell(command, unbuffered)
    assert (result.returncode, result.stderr) == (code, problem)


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", ["--help", "models"])
def test_a_reader_that_ends_is_no_failure(command: str, unbuffered: str) -> None:
    """The code is that of a program that ends by SIGPIPE, as a shell shows it."""
    result = shell(f"pipeline {command} | true", unbuffered)
    assert (result.returncode, result.stderr) == (141, "")


def test_a_result_that_nobody_reads(tmp_path: Path) -> None:
    """Neither its bytes, which Python's text streams do not see, nor the lines of files."""
    Image.new("RGB", (64, 64), "teal").save(tmp_path / "a.png")
    for command in ("-o -", f"-o {tmp_path}/out"):
        result = shell(f"pipeline upscale {tmp_path}/a.png {command} 2> {tmp_path}/err | true")
        assert result.returncode == 141
        assert "roken" not in (tmp_path / "err").read_text()


def test_a_list_that_is_lost(tmp_path: Path) -> None:
    """Also in ASCII, in which Click would write by a stream of its own."""
    (tmp_path / "params.yaml").write_text("{}")
    ascii = "LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0"
    with ScriptedSite(3).serve() as url:
        options = f"--site {url} --limit 3 --min-side 8 --api-interval 0 --dry-run"
        command = f"cd {tmp_path}; {ascii} pipeline scrape {options}"
        closed, unread = shell(f"{command} >&-"), shell(f"{command} | true")
    assert (closed.returncode, closed.stderr.splitlines(keepends=True)[-1]) == (1, CLOSED)
    assert (unread.returncode, "roken" in unread.stderr) == (141, False)


def test_a_closed_stream_is_no_place_for_a_file(tmp_path: Path) -> None:
    """The first file that is opened would take its number, and what is printed go into it."""
    path = tmp_path / "params.yaml"
    path.write_text("{}")
    result = shell(f"cd {tmp_path}; pipeline manifest >&- 2>&-")
    assert (result.returncode, path.read_text()) == (1, "{}")
    assert (tmp_path / "data/.locks/manifest.lock").read_bytes() == b""
