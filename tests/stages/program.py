"""The console script as a program: started in a folder, watched, stopped."""

import atexit
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PROGRAM = Path(sys.executable).with_name("pipeline")
PATIENCE_SECONDS = 120
ROOT = Path(__file__).parents[2]
THREADS = {"OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Finished:
    """How a program ended, and what it printed on either stream."""

    code: int
    out: str
    err: str

    @property
    def problems(self) -> list[str]:
        """Lines on standard error, without the note about options."""
        return [line for line in self.err.splitlines() if not line.startswith("note: ")]


def start(
    folder: Path, *arguments: str, own_session: bool = False, **variables: str
) -> "subprocess.Popen[str]":
    """Start `pipeline ARGUMENTS` in `folder`, with `variables` added to the environment."""
    return subprocess.Popen(
        [PROGRAM, *arguments],
        cwd=folder,
        env=os.environ | THREADS | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=own_session,
    )


def end(process: "subprocess.Popen[str]") -> Finished:
    """Wait for a program that is about to end by itself."""
    with process:
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
    return Finished(process.returncode, out, err)


class Driver:
    """Runs `pipeline` in processes that are forked from one with all its imports.

    They do what the console script does, but start in a tenth of a second rather than in five.
    """

    def __init__(self, scratch: Path, variables: Mapping[str, str]) -> None:
        self._streams = {"out": scratch / "stdout", "err": scratch / "stderr"}
        self._variables = variables
        paths = f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.driver"],
            cwd=ROOT,
            env=os.environ | THREADS | variables | {"PYTHONPATH": paths},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(
        self,
        folder: Path,
        arguments: Sequence[str],
        kill_after: float | None = None,
        **variables: str,
    ) -> Finished:
        """Run `pipeline ARGUMENTS` in `folder`; its code is minus the signal that killed it."""
        request = {
            "folder": str(folder),
            "arguments": arguments,
            "environment": os.environ | THREADS | self._variables | variables,
            "kill_after": kill_after,
        } | {name: str(path) for name, path in self._streams.items()}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        code = int(self._process.stdout.readline())
        return Finished(code, *(path.read_text() for path in self._streams.values()))

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def pipeline(folder: Path, *arguments: str, **variables: str) -> Finished:
    """Run `pipeline ARGUMENTS` in `folder` and leave it alone."""
    # macOS ends a fork of a process that has used its frameworks, as NumPy and PyTorch do.
    if sys.platform != "linux" or _read_at_start(os.environ | variables) != _AT_START:
        return end(start(folder, *arguments, **variables))
    result = _driver().run(folder, arguments, PATIENCE_SECONDS, **variables)
    assert result.code != -signal.SIGKILL, result.err
    return result


@cache
def _driver() -> Driver:
    """Return this process's driver, which ends with it."""
    scratch = tempfile.TemporaryDirectory()
    driver = Driver(Path(scratch.name), {})
    atexit.register(scratch.cleanup)
    atexit.register(driver.close)
    return driver


def _read_at_start(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that an interpreter and its libraries read when they start."""
    # Not TORCHINDUCTOR_CACHE_DIR, which compiling and exporting set in the tests' own process.
    prefixes = ("PYTHON", "LC_", "LANG", "LD_", "OMP_", "TORCH_", "COVERAGE")
    return {name: value for name, value in environment.items() if name.startswith(prefixes)}


_AT_START = _read_at_start(os.environ)


def wait_until(happened: Callable[[], bool]) -> None:
    """Return as soon as something has happened."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.005)
