"""`pipeline manifest` as a program."""

import json
import os
import subprocess
import sys
from pathlib import Path

from pipeline.manifest import read_manifest
from tests.images.originals import drawing, write_originals

ROOT = Path(__file__).parents[2]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "DVC_STAGE": "manifest"}
PARAMS = """\
resize: {size: 32}
train: {crop: 16}
manifest: {count: 20, min_count: 5, val_fraction: 0.3, test_fraction: 0.3}
"""


def run(folder: Path, stage: str, *options: str) -> tuple[int, str]:
    result = subprocess.run(
        [sys.executable, "-m", f"stages.{stage}", *options],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return result.returncode, result.stderr


def test_resize_then_manifest(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(PARAMS)
    write_originals(tmp_path / "data/raw", {id: drawing(id) for id in range(1, 19)})
    code, told = run(tmp_path, "manifest")
    assert (code, told) == (1, "data/resized/index.jsonl: not found; run pipeline resize first\n")
    assert run(tmp_path, "resize")[0] == 0
    code, told = run(tmp_path, "manifest")
    assert code == 0, told
    assert "warning: 2 images fewer than manifest.count 20" in told
    rows = read_manifest(tmp_path / "data/manifest.csv")
    assert [row.id for row in rows] == list(range(1, 19))
    assert json.loads((tmp_path / "reports/manifest.json").read_text())["rows"] == 18
    code, told = run(tmp_path, "manifest", "--min-count", "19")
    assert code == 1
    assert told.splitlines()[-1].startswith("manifest.min_count: 18 images are left, 19 are needed")


def test_without_a_set_it_names_what_makes_one(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(PARAMS)
    code, told = run(tmp_path, "manifest")
    assert (code, told) == (1, "data/raw/posts.jsonl: not found; run pipeline scrape first\n")
