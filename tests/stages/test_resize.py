"""`pipeline resize` as a program."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.images.originals import drawing, write_originals

ROOT = Path(__file__).parents[2]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}


def prepare(folder: Path, count: int) -> Path:
    folder.mkdir()
    (folder / "params.yaml").write_text("resize: {size: 32, shard_size: 5}\ntrain: {crop: 16}\n")
    if count:
        write_originals(folder / "data/raw", {id: drawing(id) for id in range(1, count + 1)})
    return folder


def start(folder: Path, *options: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "stages.resize", *options],
        cwd=folder,
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(folder: Path, *options: str) -> tuple[int, str]:
    process = start(folder, *options)
    _, told = process.communicate(timeout=120)
    return process.returncode, told


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "data/resized").iterdir()}


def test_a_set_is_resized(tmp_path: Path) -> None:
    folder = prepare(tmp_path / "project", 12)
    code, told = finish(folder)
    assert code == 0, told
    assert "12 images in 3 shards" in told
    assert json.loads((folder / "reports/resize.json").read_text())["images"] == 12
    assert len(contents(folder)) == 4


def test_without_a_set_it_names_what_makes_one(tmp_path: Path) -> None:
    code, told = finish(prepare(tmp_path / "project", 0))
    assert code == 1
    assert told == "data/raw/posts.jsonl: not found; run pipeline scrape first\n"


def test_too_many_refusals_are_one_line(tmp_path: Path) -> None:
    folder = prepare(tmp_path / "project", 3)
    (folder / "data/raw/2.png").write_bytes(b"")
    code, told = finish(folder)
    assert code == 1
    assert told.splitlines()[-1].startswith("data/raw: 1 of 3 originals are refused (empty 1)")
    assert "Traceback" not in told


def test_kills_change_no_byte(tmp_path: Path) -> None:
    whole = prepare(tmp_path / "whole", 60)
    assert finish(whole)[0] == 0
    killed = prepare(tmp_path / "killed", 60)
    codes = []
    for shards in (1, 8):
        process = start(killed, "--workers", "1")
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if (killed / f"data/resized/shard-{shards:06d}.tar").exists():
                break
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        codes.append(process.returncode)
    assert -signal.SIGKILL in codes
    assert finish(killed)[0] == 0
    assert contents(killed) == contents(whole)
