"""Show progress on standard error: a bar on a terminal, a line every few seconds elsewhere."""

import sys
import time
from typing import Any

from tqdm import tqdm

LINE_SECONDS = 10.0


class ConsoleProgress:
    """A `pipeline.progress.Progress` on standard error."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._bar: tqdm[Any] | None = None

    def start(self, label: str, total: int | None, unit: str) -> None:
        self.finish()
        # Off a terminal tqdm would write carriage returns; `_line` writes whole lines instead.
        self._bar = tqdm(
            desc=label,
            total=total,
            unit=f" {unit}",
            file=sys.stderr,
            dynamic_ncols=True,
            disable=None,
            leave=True,
        )
        self._label, self._total, self._unit = label, total, unit
        self._done, self._figures = 0, ""
        self._initial: int | None = None
        self._started = self._last_line = time.monotonic()
        self._line_done = -1

    def update(self, done: int, **figures: object) -> None:
        if self._bar is None:
            return
        if self._initial is None:
            # A resumed task did its first part in an earlier run: it does not count for the rate.
            self._initial = self._bar.initial = self._bar.n = max(done - 1, 0)
        self._done = done
        self._figures = ", ".join(f"{name} {_short(value)}" for name, value in figures.items())
        if self._terminal:
            self._bar.set_postfix_str(self._figures, refresh=False)
            self._bar.update(done - self._bar.n)
        elif time.monotonic() - self._last_line >= LINE_SECONDS:
            self._line()

    def message(self, text: str) -> None:
        tqdm.write(text, file=sys.stderr)

    def finish(self) -> None:
        if self._bar is None:
            return
        if not self._terminal and self._line_done != self._done:
            self._line()
        self._bar.close()
        self._bar = None

    def _line(self) -> None:
        self._last_line = time.monotonic()
        self._line_done = self._done
        meter = tqdm.format_meter(
            self._done,
            self._total,  # type: ignore[arg-type]  # None is documented: an unknown total
            self._last_line - self._started,
            initial=self._initial or 0,
            prefix=self._label,
            unit=f" {self._unit}",
            postfix=self._figures,
            bar_format="{desc}: {n_fmt}/{total_fmt} {rate_fmt} [{elapsed}<{remaining}]{postfix}",
        )
        print(meter, file=sys.stderr, flush=True)


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
