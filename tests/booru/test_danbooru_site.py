"""The Danbooru 2 side of the embedded booru over real HTTP."""

import dataclasses
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from bs4 import BeautifulSoup
from PIL import Image

from pipeline.booru.app import Site
from pipeline.images.collection import BooruPicture, collect_folder
from pipeline.wsgi import Server

COUNT = 30


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[BooruPicture]:
    """Post 1 has a sample, 2 is a copy of 1, 3 is hidden, 4 is questionable and has a parent."""
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(1, COUNT + 1):
        size = (1000, 300) if number <= 2 else (16, 12)
        shade = 1 if number == 2 else number
        Image.new("RGB", size, (shade, 0, 0)).save(folder / f"{number:02}.png")
    pictures = [
        dataclasses.replace(picture, tags=("highres", "original", "solo"))
        for picture in collect_folder(folder)
    ]
    pictures[2] = dataclasses.replace(pictures[2], tags=("banned_artist", "solo"))
    pictures[3] = dataclasses.replace(
        pictures[3], tags=("a&b", "solo"), rating="questionable", parent_id=1, change=1_757_694_622
    )
    return pictures


@pytest.fixture(scope="module")
def url(pictures: list[BooruPicture]) -> Iterator[str]:
    with Server(Site(pictures)) as booru:
        yield booru.url


def ids(url: str, query: str) -> list[int]:
    return [post["id"] for post in requests.get(f"{url}/posts.json?{query}", timeout=10).json()]


def test_record(url: str, pictures: list[BooruPicture]) -> None:
    answer = requests.get(f"{url}/posts/4.json", timeout=10)
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    record, md5 = answer.json(), pictures[3].md5
    expected = {
        "id": 4,
        "created_at": "2025-09-12T16:30:22.000+00:00",
        "rating": "q",
        "image_width": 16,
        "image_height": 12,
        "score": 4,
        "fav_count": 4,
        "parent_id": 1,
        "is_banned": False,
        "has_large": False,
        "tag_string": "a&b solo",
        "tag_string_general": "a&b solo",
        "tag_string_copyright": "",
        "tag_count_general": 2,
        "md5": md5,
        "file_ext": "png",
        "file_url": f"{url}/original/{md5[:2]}/{md5[2:4]}/{md5}.png",
        "large_file_url": f"{url}/original/{md5[:2]}/{md5[2:4]}/{md5}.png",
    }
    assert {name: record[name] for name in expected} == expected
    tags = requests.get(f"{url}/posts/5.json", timeout=10).json()
    assert (tags["tag_string_copyright"], tags["tag_string_meta"]) == ("original", "highres")


def test_a_hidden_post_has_neither_md5_nor_files(url: str, pictures: list[BooruPicture]) -> None:
    record = requests.get(f"{url}/posts/3.json", timeout=10).json()
    assert record["is_banned"] is True
    hidden = {"md5", "file_url", "large_file_url", "preview_file_url"}
    assert not hidden & record.keys()
    md5 = pictures[2].md5
    path = f"/original/{md5[:2]}/{md5[2:4]}/{md5}.png"
    assert requests.get(url + path, timeout=10).status_code == 404


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", list(range(30, 10, -1))),
        ("limit=999", [*range(30, 2, -1), 1]),
        ("limit=3&page=2", [27, 26, 25]),
        ("limit=3&page=b5", [4, 3, 1]),
        ("limit=3&page=b5&tags=order:score", [4, 3, 1]),
        ("limit=3&page=a5", [8, 7, 6]),
        ("page=b1", []),
        ("tags=rating:q", [4]),
        ("tags=rating:q,e", [4]),
        ("tags=id:5,7,999", [7, 5]),
        ("tags=order:id&limit=2", [1, 3]),
        ("tags=order:score&limit=2", [20, 13]),
        ("tags=score:>=6+rating:g+solo+-original", []),
        ("tags=nothing", []),
    ],
)
def test_posts(url: str, query: str, expected: list[int]) -> None:
    assert ids(url, query) == expected


def test_more_ways_to_ask(url: str, pictures: list[BooruPicture]) -> None:
    record = requests.get(f"{url}/posts.json?md5={pictures[0].md5}&only=id,md5", timeout=10).json()
    assert record == {"id": 1, "md5": pictures[0].md5}
    counts = requests.get(f"{url}/counts/posts.json?tags=highres", timeout=10).json()
    assert counts == {"counts": {"posts": 27}}


def test_pages(url: str, pictures: list[BooruPicture]) -> None:
    answer = requests.get(f"{url}/posts?limit=5&page=b6", timeout=10)
    page = BeautifulSoup(answer.text, "html.parser")
    assert [item["data-id"] for item in page.select("article.post-preview")] == ["5", "4", "1"]
    view = BeautifulSoup(requests.get(f"{url}/posts/5", timeout=10).text, "html.parser")
    image, md5 = view.select_one("section.image-container"), pictures[4].md5
    assert image["data-file-url"] == f"{url}/original/{md5[:2]}/{md5[2:4]}/{md5}.png"
    assert (image["data-tags"], image["data-rating"]) == ("highres original solo", "g")
    assert view.select_one("ul.copyright-tag-list li")["data-tag-name"] == "original"
    assert requests.get(f"{url}/posts/3", timeout=10).status_code == 451


@pytest.mark.parametrize(
    ("target", "status", "error", "message"),
    [
        (
            "/posts.json?tags=a+-b+c+rating:g",
            422,
            "PostQuery::TagLimitError",
            "You cannot search for more than 2 tags at a time.",
        ),
        (
            "/posts.json?page=1001",
            410,
            "PaginationExtension::PaginationError",
            "You cannot go beyond page 1000.",
        ),
        (
            "/posts/99.json",
            404,
            "ActiveRecord::RecordNotFound",
            "That record was not found.",
        ),
    ],
)
def test_errors(url: str, target: str, status: int, error: str, message: str) -> None:
    answer = requests.get(url + target, timeout=10)
    assert answer.status_code == status
    expected = {"success": False, "error": error, "message": message, "backtrace": []}
    assert answer.json() == expected


def test_files_are_the_announced_bytes(url: str) -> None:
    for post in requests.get(f"{url}/posts.json?limit=200&tags=-banned_artist", timeout=10).json():
        content = requests.get(post["file_url"], timeout=10).content
        assert hashlib.md5(content).hexdigest() == post["md5"]


def test_samples_and_thumbnails_are_small_jpegs(url: str) -> None:
    post = requests.get(f"{url}/posts/1.json", timeout=10).json()
    for address, size in (
        (post["large_file_url"], (850, 255)),
        (post["preview_file_url"], (180, 54)),
    ):
        with requests.get(address, timeout=10, stream=True) as answer:
            image = Image.open(answer.raw)
            assert (image.format, image.size) == ("JPEG", size)


def test_a_picture_that_is_there_twice_is_one_post(tmp_path: Path) -> None:
    for number in range(3):
        Image.new("RGB", (9, 9)).save(tmp_path / f"{number}.png")
    with Server(Site(collect_folder(tmp_path))) as booru:
        assert ids(booru.url, "") == [1]
