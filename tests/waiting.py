"""Programs that wait in a process of their own while a test goes on."""

import subprocess
import sys
from pathlib import Path


def start_waiting(program: str, path: Path) -> "tuple[subprocess.Popen[str], str]":
    """Start a Python program with the argument `path`; return it and the first line it prints.

    It waits until its standard input ends.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()
