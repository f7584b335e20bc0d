"""All that records a training: curves for DVC, lines of JSON, other programs' logs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from pipeline.files import writing
from pipeline.progress import Progress
from stages.live_recorder import LiveRecorder
from stages.loggers.base import Logger
from stages.loggers.json_lines import FILE, JsonLines

if TYPE_CHECKING:
    import numpy as np


class TrainLog:
    """The recorder of a training: the curves of the last one, and a log for each run."""

    def __init__(
        self, curves: LiveRecorder, runs: Path, loggers: Sequence[Logger], progress: Progress
    ) -> None:
        """`runs`: the folder of the logs, one folder per run; `progress` shows that of this one."""
        self._curves, self._runs, self._loggers, self._progress = curves, runs, loggers, progress
        self._lines = JsonLines()
        self._step = 0

    def __enter__(self) -> "TrainLog":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the loggers, whatever ended the training."""
        for logger in self._loggers:
            logger.close(failed=error is not None)

    def start(self, rows: Sequence[Mapping[str, float]], run_key: str) -> None:
        """Begin anew with rows of `step` and figures."""
        self._curves.start(rows)
        folder = self._runs / run_key
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            # Of projects that began before there were logs, git and DVC know nothing of them.
            (self._runs / ".gitignore").write_text("*\n", encoding="utf-8")
        lines = self._lines.start(folder, rows)
        for logger in self._loggers:
            logger.start(folder, lines)
        self._step = lines[-1].step if lines else 0
        self._progress.message(f"log: {folder / FILE}")

    def figures(self, step: int, figures: Mapping[str, float], status: Mapping[str, float]) -> None:
        """Append to all logs."""
        self._step = step
        self._curves.figures(step, figures)
        line = self._lines.log(step, figures, status)
        for logger in self._loggers:
            logger.log(line)

    def samples(self, pixels: "np.ndarray") -> None:
        """Show validation details, `(H, W, 3) uint8`, those of the last figures at the bottom."""
        self._curves.samples(pixels)
        for logger in self._loggers:
            logger.samples(self._step, pixels)

    def end(self) -> None:
        """Finish the curves."""
        self._curves.end()
