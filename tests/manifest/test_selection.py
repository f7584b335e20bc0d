"""The manifest: round trip, choice, splits that stay, and what it says of too little."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipeline.errors import PipelineError
from pipeline.images.shards import read_images
from pipeline.manifest.rows import Row, read_manifest, write_manifest
from pipeline.manifest.selection import ManifestReport, build_manifest
from pipeline.manifest.splits import draw
from pipeline.params import ManifestParams, ResizeParams
from pipeline.resizing.run import resize
from tests.images.originals import drawing, write_originals

ROW = Row(
    id=5,
    tile=0,
    shard="shard-000000.tar",
    offset=512,
    length=99,
    split="val",
    sha256="ab",
    phash="00ff",
    original_width=600,
    original_height=800,
    original_format="PNG",
    scale=0.1 + 0.2,
    crop_box=(0, 100, 600, 700),
    rating="general",
    tags=("1girl", 'quote"d', "comma,d", "日本語"),
    post_url="http://localhost/?a=1,2",
    source='line one\nline "two", ünï\r\n',
)
PARAMS = {"min_count": 1, "val_fraction": 0.3, "test_fraction": 0.3}


class RecordedProgress:
    """A listener that keeps the messages."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def start(self, label: str, total: int | None, unit: str) -> None: ...
    def update(self, done: int, **figures: object) -> None: ...
    def finish(self) -> None: ...

    def message(self, text: str) -> None:
        self.messages.append(text)


def write_index(folder: Path, ids: range, parents: Mapping[int, int] | None = None) -> None:
    """Posts and an index whose hashes are far apart; no shards, which the manifest never opens."""
    write_originals(folder / "raw", dict.fromkeys(ids, b""), parents)
    (folder / "resized").mkdir(exist_ok=True)
    image = {
        "shard": "shard-000000.tar",
        "offset": 512,
        "length": 1,
        "original_width": 600,
        "original_height": 800,
        "original_format": "PNG",
        "original_sha256": hashlib.sha256(b"").hexdigest(),
        "webp_sha256": "0",
        "tile": 0,
        "jpeg_quality": None,
        "jpeg_subsampling": None,
        "contrast": 50.0,
        "colourfulness": 50.0,
        "scale": 1.0,
        "crop_box": [0, 0, 1, 1],
    }
    lines = [
        json.dumps(
            image
            | {"id": id, "sha256": str(id)}
            | dict.fromkeys(("phash", "phash_mirrored"), f"{id * 0x9E3779B97F4A7C15 % 2**64:016x}")
        )
        for id in ids
    ]
    (folder / "resized/index.jsonl").write_text("\n".join(lines) + "\n")


def build(
    folder: Path, progress: RecordedProgress | None = None, /, **params: Any
) -> ManifestReport:
    return build_manifest(
        ManifestParams(**(PARAMS | {"phash_distance": None} | params)),
        folder / "raw",
        folder / "resized",
        folder / "manifest.csv",
        folder / "manifest.json",
        progress or RecordedProgress(),
    )


def test_an_index_without_hashes_of_mirror_images_is_read(tmp_path: Path) -> None:
    write_index(tmp_path, range(1, 41))
    index = tmp_path / "resized/index.jsonl"
    now, earlier = RecordedProgress(), RecordedProgress()
    build(tmp_path, now, phash_distance=4)
    lines = [json.loads(line) for line in index.open()]
    for line in lines:
        del line["phash_mirrored"]
    index.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert build(tmp_path, earlier, phash_distance=4).rows == 40
    assert earlier.messages == [
        f"{index}: of an earlier version, so mirror images are not found; pipeline resize adds "
        "their hashes",
        *now.messages,
    ]


def splits(folder: Path) -> dict[int, str]:
    return {row.id: row.split for row in read_manifest(folder / "manifest.csv")}


def test_round_trip(tmp_path: Path) -> None:
    rows = [
        ROW,
        replace(ROW, tile=2, sha256="b" * 64),
        replace(ROW, id=6, sha256="c" * 64, tags=(), source="", scale=1.0, split="train"),
    ]
    write_manifest(tmp_path / "manifest.csv", rows)
    assert read_manifest(tmp_path / "manifest.csv") == rows


def test_a_missing_manifest_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"m\.csv: not found; run pipeline manifest first"):
        read_manifest(tmp_path / "m.csv")


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("id,", "no,", 1),
        ("99,val", "99,dev", 2),
        ("0 100 600 700", "0 100 600", 2),
        ("512,", "x,", 2),
        (",general", "", 2),
    ],
)
def test_damage_is_told_with_its_line(tmp_path: Path, old: str, new: str, line: int) -> None:
    path = tmp_path / "m.csv"
    write_manifest(path, [replace(ROW, source="")])
    text = path.read_text()
    path.write_text(text.replace(old, new, 1))
    assert path.read_text() != text
    with pytest.raises(PipelineError, match=rf"m\.csv:{line}: "):
        read_manifest(path)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("id", 2**63),
        ("tile", -1),
        ("shard", "a\0b"),
        ("shard", "../b"),
        ("shard", ".."),
        ("offset", -1),
        ("offset", 9999999999999999999),
        ("length", 0),
        ("length", 99999999999999999),
        ("original_width", 0),
        ("scale", float("nan")),
        ("crop_box", (0, 0, 1, 2**63)),
    ],
)
def test_a_row_that_cannot_be_is_told_with_line_and_column(
    tmp_path: Path, column: str, value: Any
) -> None:
    wrong: dict[str, Any] = {column: value}
    row = replace(ROW, source="")
    write_manifest(tmp_path / "m.csv", [row, replace(row, **wrong)])
    with pytest.raises(PipelineError, match=rf"m\.csv:3: .*\({column}: .*; correct it, or ") as e:
        read_manifest(tmp_path / "m.csv")
    assert "\n" not in str(e.value)


def test_rows_lead_to_the_images(tmp_path: Path) -> None:
    pictures: dict[int, Image.Image | bytes] = {id: drawing(id) for id in range(1, 8)}
    pictures |= {8: drawing(1, 80, 96), 9: drawing(2), 10: b""}
    write_originals(tmp_path / "raw", pictures)
    resize(
        ResizeParams(size=32, max_refused=0.2),
        tmp_path / "raw",
        tmp_path / "resized",
        tmp_path / "resize.json",
        tmp_path / "store",
    )
    report = build(tmp_path, phash_distance=4, val_fraction=0.0, test_fraction=0.0)
    rows = read_manifest(tmp_path / "manifest.csv")
    # 8 is the larger original of 1, 9 a copy of 2.
    assert [row.id for row in rows] == [2, 3, 4, 5, 6, 7, 8]
    assert json.loads((tmp_path / "manifest.json").read_text()) == vars(report)
    lost = {name: count for name, count in vars(report).items() if count}
    assert lost == {
        "rows": 7,
        "train": 7,
        "refused": 1,
        "exact_duplicates": 1,
        "near_duplicates": 1,
    }
    assert rows[0].tags == ("1girl", "a,b", 'c"d')
    assert rows[0].post_url == "http://localhost/2"
    assert read_images(tmp_path / "resized", rows).shape == (7, 32, 32, 3)


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    write_index(tmp_path, range(1, 60))
    build(tmp_path)
    first = (tmp_path / "manifest.csv").read_bytes()
    build(tmp_path)
    assert (tmp_path / "manifest.csv").read_bytes() == first
    build(tmp_path, seed=1)
    assert (tmp_path / "manifest.csv").read_bytes() != first


def test_adding_pictures_moves_none(tmp_path: Path) -> None:
    # Families of every shape: parents never scraped, scraped later, and with parents of their own.
    parents = {id: id * 7 % 499 + 1 for id in range(1, 500) if id % 3 == 0}
    write_index(tmp_path, range(100, 300), parents)
    build(tmp_path, phash_distance=20)
    before = splits(tmp_path)
    assert all(list(before.values()).count(split) > 20 for split in ("train", "val", "test"))
    write_index(tmp_path, range(1, 500), parents)
    report = build(tmp_path, phash_distance=20)
    after = splits(tmp_path)
    both = before.keys() & after.keys()
    assert len(both) > 100
    assert {id: after[id] for id in both} == {id: before[id] for id in both}
    assert report.near_duplicates > 20
    assert report.across_splits > 20


def test_a_family_stays_in_one_split(tmp_path: Path) -> None:
    # Children of 1000, 1004, ..., which were never scraped; a chain of four; a circle.
    parents = {id: 1000 + id // 4 * 4 for id in range(200)} | {
        201: 202,
        202: 203,
        203: 204,
        301: 302,
        302: 301,
    }
    write_index(tmp_path, range(1, 303), parents)
    report = build(tmp_path)
    found = splits(tmp_path)
    families = [range(first, first + 4) for first in range(4, 200, 4)]
    for family in [*families, range(201, 205), range(301, 303)]:
        assert len({found[id] for id in family if id in found}) == 1
    assert all(id in found for family in families for id in family)
    assert report.across_splits == 302 - len(found) > 0
    assert len(set(found.values())) == 3


def test_tiles_of_one_post_are_on_one_side(tmp_path: Path) -> None:
    """Posts 1 to 40 have three tiles each, 41 and 42 none."""
    write_index(tmp_path, range(1, 43))
    index = tmp_path / "resized/index.jsonl"
    posts = [json.loads(line) for line in index.read_text().splitlines()[:40]]
    tiles = [post | {"tile": tile} for post in posts for tile in range(3)]
    lines = [tile | {"sha256": f"{tile['id']} {tile['tile']}"} for tile in tiles]
    index.write_text("".join(json.dumps(line) + "\n" for line in lines))
    report = build(tmp_path)
    assert (report.rows, report.refused) == (120, 2)
    rows = read_manifest(tmp_path / "manifest.csv")
    assert [(row.id, row.tile) for row in rows] == [
        (id, n) for id in range(1, 41) for n in (0, 1, 2)
    ]
    assert len({(row.id, row.split) for row in rows}) == 40
    assert {row.name for row in rows if row.id == 7} == {"7", "7-1", "7-2"}
    assert build(tmp_path, count=50).over_count == 70


def test_duplicates_never_hold_families_on_two_sides(tmp_path: Path) -> None:
    # 101 to 200 are the same pictures as 1 to 100, and parents of 201 to 300.
    write_index(tmp_path, range(1, 301), {id: id - 100 for id in range(201, 301)})
    index = tmp_path / "resized/index.jsonl"
    images = [json.loads(line) for line in index.read_text().splitlines()]
    for image in images[100:200]:
        image["sha256"] = str(image["id"] - 100)
    index.write_text("".join(json.dumps(image) + "\n" for image in images))
    report = build(tmp_path)
    found = splits(tmp_path)
    pairs = [(found.get(id), found.get(id + 200)) for id in range(1, 101)]
    assert all(first == variant or None in (first, variant) for first, variant in pairs)
    assert (None, None) not in pairs
    assert report.exact_duplicates == 100
    assert 0 < report.across_splits == sum(None in pair for pair in pairs)


def test_a_variant_scraped_later_joins_its_family(tmp_path: Path) -> None:
    write_index(tmp_path, range(1, 101))
    build(tmp_path)
    before = splits(tmp_path)
    write_index(tmp_path, range(1, 201), {id: id - 100 for id in range(101, 201)})
    build(tmp_path)
    after = splits(tmp_path)
    assert after == before | {id + 100: split for id, split in before.items()}


def test_more_than_count_are_chosen_by_a_draw_that_growth_keeps(tmp_path: Path) -> None:
    progress = RecordedProgress()
    write_index(tmp_path, range(1, 101))
    report = build(tmp_path, progress, count=30)
    assert (report.rows, report.over_count) == (30, 70)
    chosen = set(splits(tmp_path))
    assert chosen != set(range(1, 31))
    build(tmp_path, progress, count=40)
    assert chosen < set(splits(tmp_path))
    assert progress.messages == []


def test_too_few_are_told_with_the_reasons(tmp_path: Path) -> None:
    progress = RecordedProgress()
    write_index(tmp_path, range(1, 51))
    index = tmp_path / "resized/index.jsonl"
    lines = index.read_text().splitlines(keepends=True)
    index.write_text("".join(lines[:48]).replace('"sha256": "2"', '"sha256": "1"'))
    build(tmp_path, progress, count=60)
    assert progress.messages == [
        "warning: 13 images fewer than manifest.count 60: of 48 images: 1 exact duplicates; "
        "originals refused by resize: 2"
    ]
    before = (tmp_path / "manifest.csv").read_bytes()
    with pytest.raises(
        PipelineError, match=r"^manifest\.min_count: 47 images .* 48 .*refused by resize: 2"
    ):
        build(tmp_path, count=60, min_count=48)
    assert (tmp_path / "manifest.csv").read_bytes() == before
    assert build(tmp_path, count=47, min_count=48).rows == 47


@pytest.mark.parametrize(
    ("count", "least"), [(3, 1), (9, 1), (52, 5), (100, 8), (300, 8), (1200, 8)]
)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_small_sets_have_images_to_validate_and_to_test(
    tmp_path: Path, count: int, least: int, seed: int
) -> None:
    write_index(tmp_path, range(1, count + 1))
    report = build(tmp_path, val_fraction=0.01, test_fraction=0.01, seed=seed)
    expected = [max(least, drawn) for drawn in drawn_splits(count, seed)]
    assert [report.val, report.test] == expected


def drawn_splits(count: int, seed: int) -> tuple[int, int]:
    """How many of `count` images the fractions of 0.01 alone draw for val and test."""
    drawn = [draw(seed, "split", id) for id in range(1, count + 1)]
    return sum(value < 0.01 for value in drawn), sum(value >= 0.99 for value in drawn)


@pytest.mark.parametrize(("count", "least"), [(20, 2), (50, 5), (100, 8), (500, 8)])
def test_a_small_choice_of_many_has_them_too(tmp_path: Path, count: int, least: int) -> None:
    write_index(tmp_path, range(1, 2001))
    report = build(tmp_path, val_fraction=0.01, test_fraction=0.01, count=count)
    assert report.rows == count
    assert (min(report.val, report.test) >= least, report.train > count / 2) == (True, True)


def test_a_split_that_is_not_wanted_stays_empty(tmp_path: Path) -> None:
    write_index(tmp_path, range(1, 101))
    report = build(tmp_path, val_fraction=0.0, test_fraction=0.01, min_split=3)
    assert (report.val, report.test) == (0, max(3, drawn_splits(100, 0)[1]))


def test_all_that_a_tiny_set_lacks_is_said_at_once(tmp_path: Path) -> None:
    write_index(tmp_path, range(1, 3))
    with pytest.raises(PipelineError) as error:
        build(tmp_path, min_count=16_000, val_fraction=0.01, test_fraction=0.02)
    assert str(error.value).splitlines() == [
        "manifest.min_count: 2 images are left, 16000 are needed (of 2 images: none lost); raise "
        "scrape.limit or lower manifest.min_count",
        "manifest.val_fraction: 0.01 of 2 images left the val split empty; raise it, or set it to "
        "0",
        "manifest.test_fraction: 0.02 of 2 images left the test split empty; raise it, or set it "
        "to 0; for a small set: manifest.min_count=2, manifest.val_fraction=0, "
        "manifest.test_fraction=0",
    ]
    build(tmp_path, min_count=2, val_fraction=0.0, test_fraction=0.0)
    assert splits(tmp_path) == {1: "train", 2: "train"}


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_fraction_of_0_leaves_its_split_empty(tmp_path: Path, split: str) -> None:
    write_index(tmp_path, range(1, 9))
    build(tmp_path, **{f"{split}_fraction": 0.0})
    assert split not in splits(tmp_path).values()


def test_nothing_to_train_on_is_refused(tmp_path: Path) -> None:
    write_index(tmp_path, range(1, 3))
    with pytest.raises(PipelineError, match="all 2 images are in val and test"):
        build(tmp_path, val_fraction=0.999, test_fraction=0.0)


def test_stages_that_have_not_run_are_named(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"posts\.jsonl: not found; run pipeline scrape first"):
        build(tmp_path)
    write_originals(tmp_path / "raw", {1: b""})
    with pytest.raises(PipelineError, match=r"index\.jsonl: not found; run pipeline resize first"):
        build(tmp_path)


def test_an_index_of_another_set_is_refused(tmp_path: Path) -> None:
    write_index(tmp_path, range(1, 9))
    write_originals(tmp_path / "raw", {1: b"", 2: b""})
    with pytest.raises(PipelineError, match=r"index\.jsonl: id 3 is not in .*posts\.jsonl"):
        build(tmp_path)
    write_index(tmp_path, range(1, 9))
    write_originals(tmp_path / "raw", {id: b"newer" if id == 4 else b"" for id in range(1, 9)})
    with pytest.raises(PipelineError) as error:
        build(tmp_path)
    assert str(error.value) == (
        f"{tmp_path}/resized/index.jsonl: id 4 was made from another file than "
        f"{tmp_path}/raw/posts.jsonl lists (sha256); run pipeline resize again"
    )
    (tmp_path / "resized/index.jsonl").write_text('{"id": 1}\n')
    with pytest.raises(PipelineError, match=r"index\.jsonl:1: not what pipeline resize writes"):
        build(tmp_path)


def test_what_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    write_index(tmp_path, range(1, 60))
    (tmp_path / "manifest.csv").mkdir()
    with pytest.raises(PipelineError, match=r"/manifest\.csv: cannot be written: "):
        build(tmp_path)
    assert not list(tmp_path.glob(".*.tmp"))


def with_facts(folder: Path, facts: Mapping[int, dict[str, object]]) -> None:
    """Change fields of some images in the index."""
    index = folder / "resized/index.jsonl"
    lines = [json.loads(line) for line in index.read_text().splitlines()]
    changed = [json.dumps(line | facts.get(line["id"], {})) + "\n" for line in lines]
    index.write_text("".join(changed))


JPEG_FACTS: dict[str, object] = {"jpeg_quality": 60, "jpeg_subsampling": "4:2:0"}


@pytest.mark.parametrize(
    ("params", "lost"),
    [
        ({}, {"flat": [4]}),
        ({"min_contrast": 0.0}, {}),
        ({"min_jpeg_quality": 60}, {"flat": [4]}),
        ({"min_jpeg_quality": 61}, {"flat": [4], "low_jpeg_quality": [1]}),
        ({"full_chroma": True}, {"flat": [4], "halved_chroma": [1]}),
        ({"greyscale": False}, {"flat": [4], "greyscale": [5]}),
        ({"excluded_tags": ("1girl",), "min_contrast": 0.0}, {"excluded_tags": [6]}),
        ({"excluded_tags": ("1G*",), "min_contrast": 0.0}, {"excluded_tags": [6]}),
        ({"text": False}, {"flat": [4], "text": [7]}),
    ],
)
def test_filters(tmp_path: Path, params: dict[str, object], lost: dict[str, list[int]]) -> None:
    """1 is a strongly compressed JPEG, 2 the same but shrunk to half, 3 a good one."""
    write_index(tmp_path, range(1, 8))
    good = {"jpeg_quality": 95, "jpeg_subsampling": "4:4:4"}
    facts: dict[int, dict[str, object]] = {1: JPEG_FACTS, 2: JPEG_FACTS | {"scale": 0.5}, 3: good}
    with_facts(tmp_path, facts | {4: {"contrast": 2.99}, 5: {"colourfulness": 1.9}})
    posts = tmp_path / "raw/posts.jsonl"
    lines = [json.loads(line) for line in posts.read_text().splitlines()]
    tags = {6: ["1girl"], 7: ["text-only_page"]}
    tagged = [line | {"tags": tags.get(line["id"], [])} for line in lines]
    posts.write_text("".join(json.dumps(line) + "\n" for line in tagged))
    report = build(tmp_path, val_fraction=0.0, test_fraction=0.0, **params)
    kept = {row.id for row in read_manifest(tmp_path / "manifest.csv")}
    gone = {id for ids in lost.values() for id in ids}
    assert kept == set(range(1, 8)) - gone
    filters = ("low_jpeg_quality", "halved_chroma", "flat", "greyscale", "text", "excluded_tags")
    counts = {name: getattr(report, name) for name in filters}
    assert {gate: count for gate, count in counts.items() if count} == {
        gate: len(ids) for gate, ids in lost.items()
    }
