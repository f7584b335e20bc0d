"""The console script as a program: started in a folder, watched, stopped."""

import atexit
import itertools
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


def end(process: "subprocess.Popen[str] | Fork") -> Finished:
    """Wait for a program that is about to end by itself."""
    if isinstance(process, Fork):
        return process.end(PATIENCE_SECONDS)
    with process:
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
    return Finished(process.returncode, out, err)


class Driver:
    """Runs `pipeline` in processes that are forked from one with all its imports.

    They do what the console script does, but start in a tenth of a second rather than in five.
    """

    def __init__(self, scratch: Path, variables: Mapping[str, str]) -> None:
        self._scratch, self._numbers = scratch, itertools.count()
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
        return self.start(folder, arguments, **variables).end(kill_after)

    def start(self, folder: Path, arguments: Sequence[str], **variables: str) -> "Fork":
        """Begin to run `pipeline ARGUMENTS` in `folder`."""
        number = next(self._numbers)
        streams = {name: self._scratch / f"{number}.{name}" for name in ("out", "err")}
        pid = self.ask(
            folder=str(folder),
            arguments=arguments,
            environment=os.environ | THREADS | self._variables | variables,
            **{name: str(path) for name, path in streams.items()},
        )
        return Fork(pid, self, tuple(streams.values()))

    def ask(self, **request: object) -> int:
        """Return the answer to a request of `tests.driver`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


@dataclass(frozen=True)
class Fork:
    """A run that a driver has begun: a process, which leads a group of its own.

    `streams` are the files of its standard output and standard error.
    """

    pid: int
    driver: Driver
    streams: tuple[Path, ...]

    def send_signal(self, number: int) -> None:
        """Send the process, not its group, a signal."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """Send the process SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def end(self, kill_after: float | None) -> Finished:
        """Wait for its end; SIGKILL to its group after so many seconds."""
        code = self.driver.ask(pid=self.pid, kill_after=kill_after)
        texts = [path.read_text() if path.exists() else "" for path in self.streams]
        for path in self.streams:
            path.unlink(missing_ok=True)
        return Finished(code, *texts)


def fork(folder: Path, *arguments: str, **variables: str) -> "subprocess.Popen[str] | Fork":
    """Start `pipeline ARGUMENTS` in `folder` as `start` does, but forked where that is possible."""
    # macOS ends a fork of a process that has used its frameworks, as NumPy and PyTorch do.
    if sys.platform != "linux" or _read_at_start(os.environ | variables) != _AT_START:
        return start(folder, *arguments, own_session=True, **variables)
    return _driver().start(folder, arguments, **variables)


def pipeline(folder: Path, *arguments: str, **variables: str) -> Finished:
    """Run `pipeline ARGUMENTS` in `folder` and leave it alone."""
    result = end(fork(folder, *arguments, **variables))
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
