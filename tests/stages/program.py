"""The console script as a program: started in a folder, watched, stopped."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PROGRAM = Path(sys.executable).with_name("pipeline")
PATIENCE_SECONDS = 120


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
        env=os.environ | {"OMP_NUM_THREADS": "1"} | variables,
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


def pipeline(folder: Path, *arguments: str, **variables: str) -> Finished:
    """Run `pipeline ARGUMENTS` in `folder` and leave it alone."""
    return end(start(folder, *arguments, **variables))


def wait_until(happened: Callable[[], bool]) -> None:
    """Return as soon as something has happened."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.005)
