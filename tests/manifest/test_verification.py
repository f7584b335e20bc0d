"""A manifest is checked against the images that it names."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import PipelineError
from pipeline.manifest.rows import Row, read_manifest, write_manifest
from pipeline.manifest.selection import build_manifest
from pipeline.manifest.verification import check_manifest
from pipeline.params import ManifestParams, ResizeParams
from pipeline.resizing.run import resize
from tests.images.originals import drawing, write_originals


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    raw, resized = tmp_path / "raw", tmp_path / "resized"
    write_originals(raw, {id: drawing(id) for id in range(1, 8)})
    resize(ResizeParams(size=32, shard_size=4), raw, resized, tmp_path / "r.json", tmp_path / "s")
    params = ManifestParams(min_count=1, val_fraction=0, test_fraction=0)
    build_manifest(params, raw, resized, tmp_path / "m.csv", tmp_path / "m.json")
    return tmp_path


def check(folder: Path) -> int:
    return check_manifest(folder / "m.csv", folder / "resized")


def rewrite(folder: Path, **changes: object) -> None:
    """Change one row of the manifest."""
    rows = read_manifest(folder / "m.csv")
    rows[5] = replace(rows[5], **changes)  # type: ignore[arg-type]
    write_manifest(folder / "m.csv", rows)


def test_what_was_built_is_right(folder: Path) -> None:
    assert check(folder) == 7


def place_of_another(row: Row) -> dict[str, object]:
    return {"shard": row.shard, "offset": row.offset, "length": row.length}


def test_every_kind_of_wrong_row_is_named(folder: Path) -> None:
    rows = read_manifest(folder / "m.csv")
    shard = folder / "resized" / rows[4].shard
    for changes, problem in (
        (place_of_another(rows[4]), "has other pixels than its sha256 says"),
        ({"phash": "0" * 16}, "has another perceptual hash"),
        ({"offset": 1}, "no whole image at byte 1"),
        ({"shard": "shard-000009.tar"}, "cannot be read"),
    ):
        rewrite(folder, **changes)
        with pytest.raises(PipelineError, match=problem) as error:
            check(folder)
        lines = str(error.value).splitlines()
        assert len(lines) == 2
        assert lines[0].startswith("id 6: ")
        assert "1 of 7 rows are wrong" in lines[1]
        write_manifest(folder / "m.csv", rows)
    damaged = bytearray(shard.read_bytes())
    at = rows[5].offset + rows[5].length // 2
    damaged[at : at + 40] = np.random.default_rng(0).bytes(40)
    shard.write_bytes(damaged)
    with pytest.raises(PipelineError, match="id 6: "):
        check(folder)
