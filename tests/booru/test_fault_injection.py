"""The faults that the embedded booru makes on purpose, and how a scrape of it ends."""

import dataclasses
from pathlib import Path

import pytest
import requests

from pipeline.booru.app import Site
from pipeline.booru.fault_injection import FAULTS, FaultInjector
from pipeline.errors import PipelineError
from pipeline.images.collection import BooruPicture, collect_folder
from pipeline.params import ScrapeParams
from pipeline.scraping.run import scrape
from pipeline.wsgi import Server
from tests.scraping.site import picture

COUNT = 60


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[BooruPicture]:
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(COUNT):
        (folder / f"{number:02}.png").write_bytes(picture(number))
    return [dataclasses.replace(each, tags=("solo",)) for each in collect_folder(folder)]


def run(url: str, folder: Path, **values: object) -> dict[str, int]:
    """Scrape into `folder`; return the counts of failed files."""
    quick = {
        "site": url,
        "limit": 30,
        "min_side": 8,
        "api_interval": 0.0,
        "file_interval": 0.0,
        "retries": 2,
        "page_size": 20,
        "workers": 2,
    }
    params = ScrapeParams(**(quick | values))  # type: ignore[arg-type]
    return scrape(params, folder / "store", folder / "raw", folder / "scrape.json").failed


def names(folder: Path) -> set[str]:
    return {path.name for path in (folder / "raw").iterdir()}


NEWEST = {f"{number}.png" for number in range(COUNT, COUNT - 30, -1)} | {"posts.jsonl"}
PASSING = ["drop", "truncate", "wrong-length", "429", "500", "503", "empty"]
# Tried again, these pass too, but only after some seconds.
SLOW = ["stall", "429-retry-after", "503-retry-after"]
FINAL = {
    "404": "http_404",
    "redirect-loop": "redirects",
    "off-site": "off_site",
    "wrong-type": "web_page",
}


@pytest.mark.parametrize(
    ("name", "every"), [*((name, 7) for name in PASSING), *((name, 20) for name in SLOW)]
)
def test_a_fault_of_files_that_passes_changes_nothing(
    name: str, every: int, pictures: list[BooruPicture], tmp_path: Path
) -> None:
    with Server(FaultInjector(Site(pictures), on_files=[name], every=every)) as booru:
        # 30 files meet at most four faults: even one that met all of them would pass.
        timeout = 0.5 if name == "stall" else 10.0
        assert run(booru.url, tmp_path, retries=5, timeout=timeout) == {}
    assert names(tmp_path) == NEWEST


@pytest.mark.parametrize("name", FINAL)
def test_a_file_that_is_gone_is_replaced(
    name: str, pictures: list[BooruPicture], tmp_path: Path
) -> None:
    # A redirect loop is asked for six times: all of them would use up a turn of their own.
    every = 1 if name == "redirect-loop" else 10
    with Server(FaultInjector(Site(pictures), on_files=[name], every=every)) as booru:
        if every == 1:
            with pytest.raises(PipelineError, match=r"missing: .*failed 60 \(redirects 60\)"):
                run(booru.url, tmp_path)
        else:
            assert run(booru.url, tmp_path) == {FINAL[name]: 3}
            assert len(names(tmp_path)) == 31


@pytest.mark.parametrize("listing", ["json", "xml", "html"])
@pytest.mark.parametrize(
    "name", ["drop", "truncate", "wrong-type", "429", "500", "503", "search-down", "depth-limit"]
)
def test_a_fault_of_listings_that_passes_changes_nothing(
    name: str, listing: str, pictures: list[BooruPicture], tmp_path: Path
) -> None:
    with Server(FaultInjector(Site(pictures), on_lists=[name], every=3)) as booru:
        run(booru.url, tmp_path, listing=listing)
    assert names(tmp_path) == NEWEST


@pytest.mark.parametrize("listing", ["json", "xml", "html"])
def test_posts_that_are_listed_again_are_taken_once(
    listing: str, pictures: list[BooruPicture], tmp_path: Path
) -> None:
    with Server(FaultInjector(Site(pictures), on_lists=["repeat"], every=1)) as booru:
        run(booru.url, tmp_path, listing=listing, page_size=30)
    assert names(tmp_path) == NEWEST


def test_an_empty_answer_is_not_believed_at_once(
    pictures: list[BooruPicture], tmp_path: Path
) -> None:
    with Server(FaultInjector(Site(pictures), on_lists=["empty"], every=2)) as booru:
        run(booru.url, tmp_path, limit=COUNT)
    assert len(names(tmp_path)) == COUNT + 1


def test_pages_of_posts_that_have_vanished_are_passed_over(
    pictures: list[BooruPicture], tmp_path: Path
) -> None:
    with Server(FaultInjector(Site(pictures), on_lists=["vanish"], every=5)) as booru:
        run(booru.url, tmp_path, listing="html")
    assert len(names(tmp_path)) == 31
    assert names(tmp_path) != NEWEST


@pytest.mark.parametrize(
    ("name", "problem", "code"),
    [
        ("challenge", "proof of a human", 3),
        ("search-down", "refused the request: search down", 1),
        ("depth-limit", "API limited due to abuse", 1),
        ("500", "answered HTTP 500", 1),
        ("wrong-type", "answered with a web page instead of posts", 1),
    ],
)
def test_a_listing_that_never_comes_ends_the_run(
    name: str, problem: str, code: int, pictures: list[BooruPicture], tmp_path: Path
) -> None:
    with (
        Server(FaultInjector(Site(pictures), on_lists=[name], every=1)) as booru,
        pytest.raises(PipelineError, match=problem) as error,
    ):
        run(booru.url, tmp_path, listing="json")
    assert error.value.exit_code == code


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_differs_from_the_right_answer(name: str, pictures: list[BooruPicture]) -> None:
    """The fault shows on one of two paths; robots.txt and every other request stay right."""
    listing = "/index.php?page=dapi&s=post&q=index&json=1&limit=5&tags=id:<30"
    with Server(FaultInjector(Site(pictures), [name], [name], every=2)) as booru:
        right = requests.get(booru.url + listing, timeout=5)
        post = right.json()[0]
        assert requests.get(post["file_url"], timeout=5).status_code == 200
        for address, body in ((booru.url + listing, right.content), (post["file_url"], None)):
            if body is None and name == "repeat":
                continue
            try:
                answer = requests.get(address, timeout=0.5, allow_redirects=False)
            except requests.RequestException:
                continue
            assert (answer.status_code, answer.content) != (200, body)
            assert answer.headers.get("Content-Type") != "image/png"
        assert requests.get(booru.url + "/robots.txt", timeout=5).text.startswith("User-agent")
        assert requests.get(post["file_url"], timeout=5).status_code == 200
