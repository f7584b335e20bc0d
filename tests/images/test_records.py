"""What `posts.jsonl` and `index.jsonl` may hold, and that anything else is one line."""

import json
from pathlib import Path

import pytest

from pipeline.errors import PipelineError
from pipeline.images.records import read_index, read_posts

POST = {
    "id": 5,
    "file": "5.png",
    "sha256": "ab",
    "parent_id": 0,
    "rating": "general",
    "tags": ["1girl"],
    "post_url": "",
    "source": "",
}
IMAGE = {
    "id": 5,
    "tile": 0,
    "shard": "shard-000000.tar",
    "offset": 512,
    "length": 99,
    "sha256": "ab",
    "phash": "00ff" * 4,
    "original_width": 600,
    "original_height": 800,
    "original_format": "PNG",
    "original_sha256": "ab",
    "webp_sha256": "ab",
    "scale": 0.1 + 0.2,
    "crop_box": [0, 0, 600, 700],
    "jpeg_quality": None,
    "jpeg_subsampling": None,
    "contrast": 50.0,
    "colourfulness": 50.0,
}


def write(path: Path, *lines: str) -> None:
    path.write_text("".join(line + "\n" for line in lines))


def test_whole_lines_are_read(tmp_path: Path) -> None:
    newer = POST | {"id": 6, "score": 3, "tag_categories": {"artist": ["ann"]}}
    write(tmp_path / "posts.jsonl", json.dumps(POST), json.dumps(newer))
    write(tmp_path / "index.jsonl", json.dumps(IMAGE), json.dumps(IMAGE | {"id": 2**63 - 1}))
    earlier, post = read_posts(tmp_path)
    assert vars(earlier) == POST | {"tags": ("1girl",), "tag_categories": None}
    assert post.tag_categories == {"artist": ("ann",)}
    first, last = read_index(tmp_path)
    assert vars(first) == IMAGE | {"crop_box": (0, 0, 600, 700), "phash_mirrored": None}
    assert last.id == 2**63 - 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", float("inf")),
        ("id", 2**63),
        ("id", None),
        ("file", "a/b.png"),
        ("file", "a\0b"),
        ("file", ".."),
        ("file", ""),
        ("parent_id", -(2**63) - 1),
        ("tags", [None]),
        ("source", "\ud800"),
        ("tag_categories", ["ann"]),
    ],
)
def test_a_post_that_cannot_be_is_told_with_its_line(
    tmp_path: Path, name: str, value: object
) -> None:
    write(tmp_path / "posts.jsonl", json.dumps(POST), json.dumps(POST | {"id": 6, name: value}))
    with pytest.raises(PipelineError, match=r"posts\.jsonl:2: .*; run pipeline scrape again") as e:
        read_posts(tmp_path)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tile", -1),
        ("shard", "../shard.tar"),
        ("shard", "a\0b"),
        ("offset", "x"),
        ("offset", -1),
        ("offset", 2**63),
        ("length", 0),
        ("length", 2**32 + 1),
        ("phash", "1" * 4000),
        ("phash", "-000000000000001"),
        ("phash", 5),
        ("original_width", 0),
        ("original_height", 1e30),
        ("scale", float("nan")),
        ("crop_box", [0, 0, 1]),
        ("crop_box", [0, 0, 1, 2**63]),
        ("jpeg_quality", "high"),
        ("contrast", None),
        ("colourfulness", float("inf")),
    ],
)
def test_an_image_that_cannot_be_is_told_with_line_and_field(
    tmp_path: Path, name: str, value: object
) -> None:
    write(tmp_path / "index.jsonl", json.dumps(IMAGE), json.dumps(IMAGE | {"id": 6, name: value}))
    with pytest.raises(
        PipelineError, match=rf"index\.jsonl:2: .*\({name}: .*; run pipeline resize"
    ):
        read_index(tmp_path)


@pytest.mark.parametrize("line", ["[" * 200_000, '{"a":' * 200_000, "5", "[]", "", "\0"])
def test_a_line_that_is_no_record_is_told(tmp_path: Path, line: str) -> None:
    write(tmp_path / "index.jsonl", json.dumps(IMAGE), line)
    with pytest.raises(PipelineError, match=r"index\.jsonl:2: not what pipeline resize writes"):
        read_index(tmp_path)
