"""The log of a training as lines of JSON."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import PipelineError
from stages.loggers.json_lines import FILE, JsonLines

STATUS = {"lr": 0.0002, "memory_bytes": 1000}


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(text) for text in (folder / FILE).read_text().splitlines()]


def logged(folder: Path, steps: int) -> list[dict[str, float]]:
    """Log losses of each step and a validation of each second one; return them as rows."""
    log, rows = JsonLines(), list[dict[str, float]]()
    log.start(folder, [])
    for step in range(1, steps + 1):
        for figures in [{"train/loss": 1 / 3 / step}, {"val/psnr_y": 20.0}][: 2 - step % 2]:
            log.log(step, figures, STATUS)
            rows.append({"step": step, **figures})
    return rows


def test_steps_after_the_last_checkpoint_are_logged_once(tmp_path: Path) -> None:
    rows = logged(tmp_path, 4)
    before = (tmp_path / FILE).read_text().splitlines()
    with (tmp_path / FILE).open("a") as file:
        file.write('{"time": "2026-01-01T00:')
    kept = JsonLines().start(tmp_path, rows[:3])
    assert (tmp_path / FILE).read_text().splitlines() == before[:3]
    assert [line.step for line in kept] == [1, 2, 2]
    assert all(line.time and line.status == STATUS for line in kept)


@pytest.mark.parametrize(
    "damage", ["", "[]\n", '{"step": 1}\n', '{"time": 5, "step": 1}\n', "\0\n"]
)
def test_lines_that_are_missing_come_from_the_checkpoint(damage: str, tmp_path: Path) -> None:
    rows = logged(tmp_path, 2)
    before = lines(tmp_path)
    text = (tmp_path / FILE).read_text()
    (tmp_path / FILE).write_text(damage + text[text.index("\n") + 1 :])
    JsonLines().start(tmp_path, rows)
    assert lines(tmp_path) == [{"time": None, **rows[0]}, *before[1:]]


def test_a_line_of_another_training_is_not_kept(tmp_path: Path) -> None:
    rows = logged(tmp_path, 1)
    JsonLines().start(tmp_path, [{**rows[0], "train/loss": 9.0}])
    assert lines(tmp_path) == [{"time": None, "step": 1, "train/loss": 9.0}]


def test_infinity_is_null_and_comes_back(tmp_path: Path) -> None:
    log = JsonLines()
    log.start(tmp_path, [])
    log.log(1, {"val/psnr_y": math.inf}, STATUS)
    (line,) = JsonLines().start(tmp_path, [{"step": 1, "val/psnr_y": math.inf}])
    assert line.figures == {"val/psnr_y": math.inf}
    assert line.time
    assert lines(tmp_path)[0]["val/psnr_y"] is None


def test_a_file_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    with pytest.raises(PipelineError, match=r"log\.jsonl: cannot be written: Is a directory"):
        JsonLines().start(tmp_path, [])
