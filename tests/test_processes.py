import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import psutil
import pytest

from pipeline.processes import NOTICES, _lives, _stop_with_any

# Short sleeps: Python handles a signal that comes just before a sleep only after it.
PROGRAM = """
import atexit, time
from stages.runner import new_app, run_app

app = new_app()

@app.command()
def wait() -> None:
    print("ready", flush=True)
    for _ in range(600):
        time.sleep(0.1)

atexit.register(time.sleep, 0.5)
run_app(app)
"""


@pytest.mark.parametrize("first", [signal.SIGTERM, *NOTICES])
def test_three_signals_in_a_row_are_one_interruption(first: signal.Signals) -> None:
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            process.send_signal(first)
            process.send_signal(signal.SIGHUP)
            process.send_signal(signal.SIGUSR1)
            _, err = process.communicate(timeout=60)
        assert err == "interrupted; run the same command again to go on\n"
        assert process.returncode == 130


IMPORTING = """
import time
from stages.runner import new_app, run_app

app = new_app()

@app.command()
def load() -> None:
    import slow
    print(slow.value, flush=True)
    for _ in range(600):
        time.sleep(0.1)

run_app(app)
"""


def test_an_import_is_not_interrupted(tmp_path: Path) -> None:
    body = "import time\nprint('importing', flush=True)\ntime.sleep(0.3)\nvalue = 'imported'\n"
    (tmp_path / "slow.py").write_text(body)
    path = os.pathsep.join([str(tmp_path), *sys.path])
    with subprocess.Popen(
        [sys.executable, "-c", IMPORTING],
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "importing\n"
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert (out, err) == ("imported\n", "interrupted; run the same command again to go on\n")
    assert process.returncode == 130


WITHOUT = """
import os, signal
for name in ("SIGHUP", "SIGUSR1", "SIGUSR2"):
    delattr(signal, name)
del os.O_DIRECTORY
from pathlib import Path
import pipeline.processes, pipeline.training.interrupts, stages.runner
from pipeline.files import write_text
pipeline.processes.interrupt_on_signals()
write_text(Path("a.txt"), "a")
"""


def test_systems_without_these_signals_run_commands_and_write_files(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", WITHOUT]
    ended = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr


class Hidden(psutil.Process):
    """Process whose status the system does not show."""

    def status(self) -> NoReturn:
        raise psutil.AccessDenied(self.pid)


def test_a_process_that_cannot_be_asked_lives() -> None:
    assert _lives(Hidden())


def test_what_names_no_process_is_not_watched() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"x")
    _stop_with_any([psutil.Process()], "no number", reader)
    os.close(reader)
    os.close(writer)
