"""`pipeline resize` as a program."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.images.originals import drawing, write_originals
from tests.stages.program import PROGRAM, end, pipeline, start, wait_until


def prepare(folder: Path, count: int) -> Path:
    folder.mkdir()
    (folder / "params.yaml").write_text("resize: {size: 32, shard_size: 5}\ntrain: {crop: 16}\n")
    if count:
        write_originals(folder / "data/raw", {id: drawing(id) for id in range(1, count + 1)})
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "data/resized").iterdir()}


def test_a_set_is_resized(tmp_path: Path) -> None:
    folder = prepare(tmp_path / "project", 12)
    result = pipeline(folder, "resize")
    assert result.code == 0, result.err
    assert "12 images in 3 shards" in result.err
    assert json.loads((folder / "reports/resize.json").read_text())["images"] == 12
    assert len(contents(folder)) == 4


def test_without_a_set_it_names_what_makes_one(tmp_path: Path) -> None:
    result = pipeline(prepare(tmp_path / "project", 0), "resize")
    assert result.code == 1
    assert result.err == "data/raw/posts.jsonl: not found; run pipeline scrape first\n"


def test_too_many_refusals_are_one_line(tmp_path: Path) -> None:
    folder = prepare(tmp_path / "project", 3)
    write_originals(folder / "data/raw", {1: drawing(1), 2: b"", 3: drawing(3)})
    result = pipeline(folder, "resize")
    assert result.code == 1
    assert result.problems[-1].startswith("data/raw: 1 of 3 originals are refused (empty 1)")
    assert "Traceback" not in result.err


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_signal_to_all_its_processes_is_one_line(tmp_path: Path, number: signal.Signals) -> None:
    """A terminal that is lost and a scheduler signal each process of a group."""
    folder = prepare(tmp_path / "project", 60)
    process = subprocess.Popen(
        [PROGRAM, "resize", "--executor", "process", "--shard-size", "1", "--workers", "2"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_until(lambda: any(folder.glob("data/resized/*.tar")))
    os.killpg(process.pid, number)
    result = end(process)
    assert result.code == 130
    lines = [line for line in result.problems if not line.startswith("resize: ")]
    assert lines == ["interrupted; run the same command again to go on"]


def test_kills_change_no_byte(tmp_path: Path) -> None:
    whole = prepare(tmp_path / "whole", 60)
    assert pipeline(whole, "resize").code == 0
    killed = prepare(tmp_path / "killed", 60)
    codes = []
    for shards in (1, 8):
        process = start(killed, "resize", "--workers", "1")
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if (killed / f"data/resized/shard-{shards:06d}.tar").exists():
                break
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        codes.append(end(process).code)
    assert -signal.SIGKILL in codes
    assert pipeline(killed, "resize").code == 0
    assert contents(killed) == contents(whole)


def test_an_original_that_changed_on_disk_ends_it_in_one_line(tmp_path: Path) -> None:
    folder = prepare(tmp_path / "project", 3)
    path = folder / "data/raw/2.png"
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)
    result = pipeline(folder, "resize")
    assert result.code == 1
    assert result.problems[-1] == (
        "data/raw: missing, or not what posts.jsonl lists (sha256): 2.png; "
        "run pipeline scrape --check, then pipeline scrape"
    )
    assert not (folder / "data/resized/index.jsonl").exists()
