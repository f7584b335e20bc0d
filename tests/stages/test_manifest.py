"""`pipeline manifest` as a program."""

import json
from pathlib import Path

from pipeline.manifest.rows import read_manifest
from tests.images.originals import drawing, write_originals
from tests.stages.program import pipeline

PARAMS = """\
resize: {size: 32}
train: {crop: 16}
manifest: {count: 20, min_count: 5, val_fraction: 0.3, test_fraction: 0.3}
"""


def test_resize_then_manifest(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(PARAMS)
    write_originals(tmp_path / "data/raw", {id: drawing(id) for id in range(1, 19)})
    result = pipeline(tmp_path, "manifest")
    assert result.code == 1
    assert result.err == "data/resized/index.jsonl: not found; run pipeline resize first\n"
    assert pipeline(tmp_path, "resize").code == 0
    result = pipeline(tmp_path, "manifest")
    assert result.code == 0, result.err
    assert "all 18 images; manifest.count is 20\n" in result.err
    rows = read_manifest(tmp_path / "data/manifest.csv")
    assert [row.id for row in rows] == list(range(1, 19))
    assert json.loads((tmp_path / "reports/manifest.json").read_text())["rows"] == 18
    result = pipeline(tmp_path, "manifest", "--check")
    assert (result.code, result.problems[-1]) == (
        0,
        "data/manifest.csv: 18 images have the listed hashes",
    )
    result = pipeline(tmp_path, "manifest", "--min-count", "19")
    assert result.code == 1
    assert result.problems[-1].startswith("--min-count: 18 images are left, 19 are needed")


def test_a_check_without_a_manifest_names_what_makes_one(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(PARAMS)
    result = pipeline(tmp_path, "manifest", "--check")
    assert (result.code, result.err) == (
        1,
        "data/manifest.csv: not found; pipeline manifest writes it, of what pipeline resize has "
        "made\n",
    )


def test_without_a_set_it_names_what_makes_one(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(PARAMS)
    result = pipeline(tmp_path, "manifest")
    assert result.code == 1
    assert result.err == "data/raw/posts.jsonl: not found; run pipeline scrape first\n"
