"""Signals before the program runs: while it imports its modules."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_the_first_imports_is_one_line(
    tmp_path: Path, number: signal.Signals
) -> None:
    # In place of a library that swallows every exception while it is imported. Short sleeps:
    # Python handles a signal that comes just before a sleep only after it.
    (tmp_path / "typer.py").write_text(
        "import time\nprint('importing', flush=True)\n"
        "try:\n    for _ in range(600):\n        time.sleep(0.1)\nexcept BaseException:\n"
        "    pass\nraise ImportError\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", "from stages.app import main; main()"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "importing\n"
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "interrupted; run the same command again to go on\n")
