"""What a manifest that was edited by hand may hold."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import PipelineError
from pipeline.manifest.rows import HEADER, Row, measured_rows, read_manifest, write_manifest


def row(id: int, **changes: object) -> Row:
    one = Row(
        id=id,
        tile=0,
        shard="shard-000000.tar",
        offset=512,
        length=100,
        split="train",
        sha256=f"{id:064}",
        phash="0" * 16,
        original_width=64,
        original_height=64,
        original_format="PNG",
        scale=1.0,
        crop_box=(0, 0, 64, 64),
        rating="general",
        tags=("solo",),
        post_url="",
        source="",
    )
    return replace(one, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("second", "named"),
    [
        (row(1, split="val"), "1, val"),
        (row(1), "1, train"),
        (row(2, sha256=row(1).sha256, split="test"), "2, test"),
        (row(2, sha256=row(1).sha256), "2, train"),
        (row(1, sha256=row(2).sha256), "1, train"),
        (row(1, sha256=row(2).sha256, tile=1, split="val"), "1-1, val"),
    ],
)
def test_a_picture_that_stands_twice_is_named_with_both_rows(
    tmp_path: Path, second: Row, named: str
) -> None:
    path = tmp_path / "m.csv"
    write_manifest(path, [row(5), row(1), row(6), second])
    with pytest.raises(PipelineError) as error:
        read_manifest(path)
    assert str(error.value) == (
        f"{path}: line 5 (id {named}) has the picture of line 3 (id 1, train); a picture may stand "
        "in one split alone, and once: remove the other rows, or run pipeline manifest again"
    )


def test_tiles_of_one_original_in_one_split_are_read(tmp_path: Path) -> None:
    rows = [row(1), row(1, tile=1, sha256=row(2).sha256)]
    write_manifest(tmp_path / "m.csv", rows)
    assert read_manifest(tmp_path / "m.csv") == rows


def test_a_byte_order_mark_is_no_part_of_the_header(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    write_manifest(path, [row(1)])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_manifest(path) == [row(1)]


def test_blank_lines_are_skipped_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    write_manifest(path, [row(1), row(2)])
    header, first, second = path.read_text().splitlines()
    path.write_text(f"{header}\n\n{first}\n\n{second}\n\n")
    assert read_manifest(path) == [row(1), row(2)]
    path.write_text(f"{header}\n\n{first}\n\n{second.replace('train', 'trian')}\n")
    with pytest.raises(PipelineError) as error:
        read_manifest(path)
    assert str(error.value) == (
        f"{path}:5: not a manifest's row (split: Input should be 'train', 'val' or 'test', not "
        "'trian'); correct it, or run pipeline manifest again"
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [("", "blank"), ("\n\n", "blank"), ("id;tile\n", "no manifest's header")],
)
def test_a_file_without_the_header_says_what_it_should_be(
    tmp_path: Path, text: str, problem: str
) -> None:
    path = tmp_path / "m.csv"
    path.write_text(text)
    with pytest.raises(PipelineError) as error:
        read_manifest(path)
    line = ",".join(HEADER)
    assert str(error.value) == (
        f"{path}:1: {problem}; the line should be {line}: restore it, or run pipeline manifest "
        "again"
    )


def test_a_manifest_without_rows_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    write_manifest(path, [])
    with pytest.raises(PipelineError, match="lists no images; run pipeline manifest again"):
        read_manifest(path)


def test_a_split_without_images_says_what_to_do(tmp_path: Path) -> None:
    write_manifest(tmp_path / "m.csv", [row(1)])
    with pytest.raises(PipelineError, match=r"the split test; raise manifest\.test_fraction, or "):
        measured_rows(tmp_path / "m.csv", "test")
