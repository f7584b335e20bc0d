"""Show progress on standard error: a bar on a terminal, a line every few seconds elsewhere."""

import sys
import time
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

LINE_SECONDS = 10.0
LARGE_UNITS = ("pixels",)
"""Units whose numbers are shown as 12.3M."""


class Bar(tqdm):  # type: ignore[type-arg]  # at run time it has no arguments
    """A bar whose rate reads "3 tile/s" or "2 s/tile": tqdm keeps the unit's space in both."""

    @staticmethod
    def format_meter(*arguments: Any, **options: Any) -> str:
        return tqdm.format_meter(*arguments, **options).replace("s/ ", "s/")


@dataclass
class _Task:
    """What is shown of the task that runs."""

    label: str
    total: int | None
    unit: str
    bar: Bar
    started: float
    """by the monotonic clock, as `last_line`"""
    last_line: float
    done: int = 0
    figures: str = ""
    initial: int | None = None
    """units that an earlier run had done; None before the first update"""
    line_done: int = -1
    """units that the last line said were done"""


class ConsoleProgress:
    """A `pipeline.progress.Progress` on standard error."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._task: _Task | None = None
        self._notes: list[str] = []

    def note(self, text: str) -> None:
        """Keep a line about the run until there is something to show of it.

        Where a run is refused before that, the refusal is all that is shown.
        """
        self._notes.append(text)

    def show_notes(self) -> None:
        """Show the notes that are kept."""
        notes, self._notes = self._notes, []
        for text in notes:
            tqdm.write(text, file=sys.stderr)

    def start(self, label: str, total: int | None, unit: str) -> None:
        self.finish()
        self.show_notes()
        # Off a terminal tqdm would write carriage returns; `_print_line` writes lines instead.
        bar = Bar(
            desc=label,
            total=total,
            unit=f" {unit}",
            unit_scale=unit in LARGE_UNITS,
            file=sys.stderr,
            dynamic_ncols=True,
            disable=None,
            leave=True,
        )
        now = time.monotonic()
        self._task = _Task(label, total, unit, bar, started=now, last_line=now)

    def update(self, done: int, **figures: object) -> None:
        task = self._task
        if task is None:
            return
        if task.initial is None:
            # A resumed task did its first part in an earlier run: it does not count for the rate.
            task.initial = task.bar.initial = task.bar.n = max(done - 1, 0)
        task.done = done
        task.figures = ", ".join(f"{name} {_short(value)}" for name, value in figures.items())
        if self._terminal:
            task.bar.set_postfix_str(task.figures, refresh=False)
            task.bar.update(done - task.bar.n)
        elif time.monotonic() - task.last_line >= LINE_SECONDS:
            _print_line(task)

    def message(self, text: str) -> None:
        self.show_notes()
        tqdm.write(text, file=sys.stderr)

    def finish(self) -> None:
        if self._task is None:
            return
        if not self._terminal and self._task.line_done != self._task.done:
            _print_line(self._task)
        self._task.bar.close()
        self._task = None


def _print_line(task: _Task) -> None:
    task.last_line = time.monotonic()
    task.line_done = task.done
    meter = Bar.format_meter(
        task.done,
        task.total,
        task.last_line - task.started,
        initial=task.initial or 0,
        prefix=task.label,
        unit=f" {task.unit}",
        unit_scale=task.unit in LARGE_UNITS,
        postfix=task.figures,
        bar_format="{desc}: {n_fmt}/{total_fmt} {rate_fmt} [{elapsed}<{remaining}]{postfix}",
    )
    print(meter, file=sys.stderr, flush=True)


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
