"""`pipeline train` as a program that the parts of `benchmarks/gpu.py` start, read and stop."""

import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

STOP_SECONDS = 15.0
"""In which a training that got SIGTERM has written its checkpoint."""


class TrainingProgram:
    """`pipeline train` in a project, and the lines that it prints, with their times."""

    def __init__(self, project: Path, options: Sequence[str]) -> None:
        self.started = time.monotonic()
        self._lines: list[tuple[float, str]] = []
        self._process = subprocess.Popen(
            [sys.executable, "-u", "-m", "stages.train", *options],
            cwd=project,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.append((time.monotonic(), line))
            print(line, end="", flush=True)

    def text(self) -> str:
        """All that was printed so far."""
        return "".join(line for _, line in list(self._lines))

    def wait_for(self, pattern: str, seconds: float) -> float:
        """Return when a line with `pattern` came. Raises `RuntimeError` where none did."""
        deadline = time.monotonic() + seconds
        while True:
            ended = self._process.poll() is not None
            for moment, line in list(self._lines):
                if re.search(pattern, line):
                    return moment
            if ended or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"training printed no {pattern!r}: {self.text()[-2000:]}")
            time.sleep(0.02)

    def run_until(self, moment: float) -> None:
        """Let it train until then, or to its end."""
        with_time = max(0.0, moment - time.monotonic())
        try:
            self._process.wait(with_time)
        except subprocess.TimeoutExpired:
            return

    def stop(self) -> int:
        """Stop it as a user's system would, and return its exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._reader.join(5)
        return code

    def rate(self, batch: int) -> float | None:
        """Return images per second between the first and the last line with a step.

        Each phase has lines of its own, whose steps are counted from the training's first.
        """
        lines = [
            (moment, int(match[1]))
            for moment, line in self._lines
            if (match := re.match(r"train: (?:\S+: )?(\d+)/", line))
        ]
        if len(lines) < 2 or lines[-1][1] == lines[0][1]:
            return None
        (first, begun), (last, done) = lines[0], lines[-1]
        return (done - begun) * batch / (last - first)
