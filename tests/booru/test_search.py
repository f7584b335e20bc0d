"""Tag search, from a table of queries over six posts."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.booru.api_records import ServedPost, TagCount
from pipeline.booru.search import find_tags, parse_query
from pipeline.images.collection import BooruPicture


def post(number: int, rating: str, tags: str, width: int = 100) -> ServedPost:
    return ServedPost(
        BooruPicture(
            id=number,
            path=Path("x.png"),
            width=width,
            height=50,
            md5=f"{number:032x}",
            rating=rating,
            tags=tuple(tags.split()),
            source="",
            parent_id=0,
            change=1000 - number,
            extension="png",
        )
    )


POSTS = [
    post(1, "general", "1girl blue_hair :d"),
    post(2, "safe", "1girl red_hair"),
    post(3, "questionable", "1boy blue_hair"),
    post(4, "general", "no_humans", width=900),
    post(5, "sensitive", "1girl blue_hair re:zero"),
    post(6, "explicit", "1boy 1girl", width=900),
]
# The made-up scores of posts 1 to 6: 1, 2, none, 4, 5, none.


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("", [6, 5, 4, 3, 2, 1]),
        ("all", [6, 5, 4, 3, 2, 1]),
        ("1girl", [6, 5, 2, 1]),
        ("1GIRL", [6, 5, 2, 1]),
        ("1girl  blue_hair", [5, 1]),
        ("-1girl", [4, 3]),
        ("1girl -blue_hair -1boy", [2]),
        ("nothing", []),
        ("-nothing", [6, 5, 4, 3, 2, 1]),
        (":d", [1]),
        ("re:zero", [5]),
        ("-re:zero 1girl", [6, 2, 1]),
        ("*_hair", [5, 3, 2, 1]),
        ("1*l", [6, 5, 2, 1]),
        ("*(", []),
        ("*", [6, 5, 4, 3, 2, 1]),
        ("**", [6, 5, 4, 3, 2, 1]),
        ("*l*e*", [5, 3, 1]),
        ("1*girl", [6, 5, 2, 1]),
        ("1girl*girl", []),
        ("re*zero", [5]),
        ("-*_hair", [6, 4]),
        ("--1girl", [6, 5, 2, 1]),
        ("-" * 9999 + "1girl", [4, 3]),
        ("--", [6, 5, 4, 3, 2, 1]),
        ("id:3", [3]),
        ("id:<3", [2, 1]),
        ("id:<=3", [3, 2, 1]),
        ("id:>4", [6, 5]),
        ("id:>=4 id:<6", [5, 4]),
        ("-id:3", [6, 5, 4, 2, 1]),
        ("id:x", []),
        ("id:<99999999999999999999", []),
        ("rating:safe", [2]),
        ("rating:s", [5, 2]),
        ("rating:general", [4, 1]),
        ("-rating:general -rating:safe", [6, 5, 3]),
        ("rating:none", []),
        ("width:>100", [6, 4]),
        ("score:>=4", [5, 4]),
        ("md5:00000000000000000000000000000002", [2]),
        ("sort:id", [6, 5, 4, 3, 2, 1]),
        ("sort:id:asc", [1, 2, 3, 4, 5, 6]),
        ("sort:id:desc", [6, 5, 4, 3, 2, 1]),
        ("1girl sort:id:asc id:>1", [2, 5, 6]),
        ("sort:score", [5, 4, 2, 1, 6, 3]),
        ("sort:score:asc", [6, 3, 1, 2, 4, 5]),
        ("sort:updated", [1, 2, 3, 4, 5, 6]),
        ("sort:width:desc", [6, 4, 5, 3, 2, 1]),
        ("sort:nonsense", []),
    ],
)
def test_search(query: str, ids: list[int]) -> None:
    assert [found.id for found in parse_query(query).find(POSTS)] == ids


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ({}, ["blue_hair", "bluebird", "c++"]),
        ({"tag_id": 2}, ["bluebird"]),
        ({"after": 1}, ["bluebird", "c++"]),
        ({"name": "c++"}, ["c++"]),
        ({"pattern": "blue%"}, ["blue_hair", "bluebird"]),
        ({"pattern": "bird"}, ["bluebird"]),
        ({"pattern": "blue__air"}, ["blue_hair"]),
        ({"pattern": "+"}, ["c++"]),
        ({"pattern": "%"}, ["blue_hair", "bluebird", "c++"]),
        ({"pattern": "b%b%d"}, ["bluebird"]),
        ({"pattern": "blue%blue"}, []),
        ({"pattern": "_" * 10}, []),
        ({"pattern": "_" * 9}, ["blue_hair"]),
    ],
)
def test_tags_are_found(wanted: dict[str, object], names: list[str]) -> None:
    tags = [TagCount(1, "blue_hair", 3), TagCount(2, "bluebird", 1), TagCount(3, "c++", 1)]
    assert [tag.name for tag in find_tags(tags, **wanted)] == names  # type: ignore[arg-type]


MANY_WILDCARDS = """
from pathlib import Path
from pipeline.booru.api_records import ServedPost, TagCount
from pipeline.booru.search import find_tags, parse_query
from pipeline.images.collection import BooruPicture

tag = "a" * 250
picture = BooruPicture(1, Path("x.png"), 9, 9, "", "safe", (tag,), "", 0, 0, "png")
for count in (20, 100, 20_000):
    assert parse_query("a*" * count + "b").find([ServedPost(picture)]) == []
    assert find_tags([TagCount(1, tag, 1)], pattern="a%_" * count + "b") == []
"""


def test_many_wildcards_take_no_time_to_speak_of() -> None:
    """By regular expressions these searches would outlast any test."""
    subprocess.run([sys.executable, "-c", MANY_WILDCARDS], check=True, timeout=120)
