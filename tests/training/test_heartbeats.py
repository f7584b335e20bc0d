import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from pipeline.training.heartbeats import beating, watched
from tests.stages.program import wait_until

ROOT = Path(__file__).parents[2]
BEATS = """
import sys, time
from pathlib import Path
from pipeline.training.heartbeats import beating
with beating(Path(sys.argv[1]), 0.02):
    time.sleep(120)
"""


def test_a_process_that_is_stopped_is_reported_once_until_it_goes_on(tmp_path: Path) -> None:
    reported: list[str] = []
    file = tmp_path / "0-17.alive"
    process = subprocess.Popen([sys.executable, "-c", BEATS, str(file)], cwd=ROOT)
    try:
        wait_until(file.exists)
        with watched(tmp_path, "*.alive", lambda path: reported.append(path.name), 2.0):
            time.sleep(1)
            assert reported == []
            os.kill(process.pid, signal.SIGSTOP)
            wait_until(lambda: reported == [file.name])
            time.sleep(1)
            assert reported == [file.name]
            os.kill(process.pid, signal.SIGCONT)
            wait_until(lambda: time.time() - file.stat().st_mtime < 0.5)
            time.sleep(0.5)
            os.kill(process.pid, signal.SIGSTOP)
            wait_until(lambda: reported == [file.name] * 2)
    finally:
        process.kill()
        process.wait()


def test_an_end_is_no_silence(tmp_path: Path) -> None:
    reported: list[Path] = []
    with watched(tmp_path, "*.alive", reported.append, 1.0):
        with beating(tmp_path / "0-1.alive", 0.02):
            time.sleep(1.3)
        time.sleep(1.3)
    assert reported == []
    assert list(tmp_path.iterdir()) == []
