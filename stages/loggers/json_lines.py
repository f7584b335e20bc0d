"""The log of a training as lines of JSON, for batch systems."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.files import write_text, writing
from stages.loggers.base import LogLine

FILE = "log.jsonl"


class JsonLines:
    """Appends lines to a file of the run; one that goes on has neither duplicates nor gaps."""

    def __init__(self) -> None:
        self._path = Path(FILE)

    def start(self, folder: Path, rows: Sequence[Mapping[str, float]]) -> list[LogLine]:
        """Bring the run's file to `rows` of `step` and figures; return its lines.

        A process that was killed has logged steps after its last checkpoint, and perhaps a part of
        a line. Lines of `rows` are kept as they are, with time and speed; where one is missing, it
        has the figures alone.
        """
        self._path = folder / FILE
        logged = {_key(line.step, line.figures): line for line in _read(self._path)}
        lines = []
        for row in rows:
            step = int(row["step"])
            figures = {name: value for name, value in row.items() if name != "step"}
            line = logged.get(_key(step, figures))
            same = line is not None and _finite(line.figures) == _finite(figures)
            lines.append(
                replace(line, figures=figures) if line and same else LogLine(step, figures, {}, "")
            )
        with writing(self._path):
            write_text(self._path, "".join(map(_text, lines)))
        return lines

    def log(self, step: int, figures: Mapping[str, float], status: Mapping[str, float]) -> LogLine:
        """Append a line, and return it."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = LogLine(step, dict(figures), dict(status), now)
        with writing(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8", newline="\n") as file:
                file.write(_text(line))
        return line


def _key(step: int, figures: Mapping[str, float]) -> tuple[int, str]:
    """Return what only one line has: a step has one of losses and one of validation figures."""
    return step, min(figures, default="").split("/")[0]


def _text(line: LogLine) -> str:
    values: dict[str, object] = {"time": line.time or None, "step": line.step}
    # Figures of a checkpoint come in another order than those of a step.
    figures = sorted(_finite(line.figures).items())
    return json.dumps(values | dict(figures) | _finite(line.status)) + "\n"


def _finite(figures: Mapping[str, float | None]) -> dict[str, float | None]:
    """Return figures as JSON can hold them: null for infinity, as the PSNR of equal images."""
    return {
        name: value if value is not None and math.isfinite(value) else None
        for name, value in figures.items()
    }


def _read(path: Path) -> list[LogLine]:
    """Return the whole lines of a file; none where there is no such file."""
    with writing(path):
        try:
            texts = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return []
    return [line for text in texts if (line := _parsed(text)) is not None]


def _parsed(text: str) -> LogLine | None:
    """Return the line, or None where it is cut off, as by a full disk, or another program's."""
    try:
        values: dict[str, Any] = dict(json.loads(text))
        time, step = values.pop("time") or "", values.pop("step")
        if time:
            datetime.fromisoformat(time)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    numbers = all(value is None or type(value) in (int, float) for value in values.values())
    if type(step) is not int or not numbers:
        return None
    figures = {name: value for name, value in values.items() if "/" in name}
    status = {name: value for name, value in values.items() if "/" not in name}
    return LogLine(step, figures, status, time)
