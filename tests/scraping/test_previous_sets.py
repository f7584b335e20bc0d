"""A new store beside a previous set: intact files are not fetched again."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.images.records import POSTS_FILE
from pipeline.params import ScrapeParams
from pipeline.scraping.previous_sets import FileLocator, PreviousSets
from pipeline.scraping.run import plan, scrape
from tests.scraping.site import ScriptedSite


def params(url: str, limit: int) -> ScrapeParams:
    return ScrapeParams(site=url, api_interval=0, file_interval=0, min_side=8, limit=limit)


def files(site: ScriptedSite) -> list[str]:
    return sorted(Path(path).name for path in site.paths() if path.startswith("/images"))


def run(folder: Path, url: str, limit: int, previous: PreviousSets | None = None) -> list[int]:
    """Scrape; the ids of the set."""
    scrape(
        params(url, limit),
        folder / "store",
        folder / "raw",
        folder / "scrape.json",
        previous=previous or PreviousSets(),
    )
    return [json.loads(line)["id"] for line in (folder / "raw" / POSTS_FILE).open()]


def previous_set(folder: Path) -> PreviousSets:
    return PreviousSets(lambda: [lambda name: folder / name])


@pytest.fixture
def site() -> Iterator[tuple[ScriptedSite, str]]:
    site = ScriptedSite(6)
    with site.serve() as url:
        yield site, url


def test_only_what_is_missing_is_fetched(tmp_path: Path, site: tuple[ScriptedSite, str]) -> None:
    booru, url = site
    run(tmp_path, url, 4)
    shutil.rmtree(tmp_path / "store")
    booru.requests.clear()
    planned = plan(params(url, 5), tmp_path / "store", previous=previous_set(tmp_path / "raw"))
    assert [entry.stored for entry in planned.accepted] == [True] * 4 + [False]
    assert run(tmp_path, url, 5, previous_set(tmp_path / "raw")) == [6, 5, 4, 3, 2]
    assert files(booru) == ["2.png"]
    booru.requests.clear()
    assert run(tmp_path, url, 5) == [6, 5, 4, 3, 2]
    assert files(booru) == []
    assert all(path.stat().st_nlink == 2 for path in (tmp_path / "raw").glob("*.png"))


def test_damaged_and_changed_files_are_fetched(
    tmp_path: Path, site: tuple[ScriptedSite, str]
) -> None:
    """A file that rotted, one that is missing, and one that the site has replaced since."""
    booru, url = site
    run(tmp_path, url, 4)
    shutil.rmtree(tmp_path / "store")
    rotten = tmp_path / "raw/6.png"
    rotten.chmod(0o644)
    rotten.write_bytes(rotten.read_bytes()[:-1] + b"x")
    (tmp_path / "raw/5.png").unlink()
    booru.files["/images/1/4.png"] = booru.files["/images/1/1.png"]
    booru.posts[2] = booru.post(4)
    booru.requests.clear()
    assert run(tmp_path, url, 4, previous_set(tmp_path / "raw")) == [6, 5, 4, 3]
    assert files(booru) == ["4.png", "5.png", "6.png"]
    for number in (3, 4, 5, 6):
        expected = booru.files[f"/images/1/{number}.png"]
        assert (tmp_path / f"raw/{number}.png").read_bytes() == expected


def test_a_file_is_looked_for_in_all_sets_and_behind_links(
    tmp_path: Path, site: tuple[ScriptedSite, str]
) -> None:
    booru, url = site
    run(tmp_path, url, 2)
    shutil.copytree(tmp_path / "raw", tmp_path / "cache")
    shutil.copytree(tmp_path / "raw", tmp_path / "links")
    for path in (tmp_path / "links").glob("*.png"):
        path.unlink()
        path.symlink_to(tmp_path / "cache" / path.name)
    shutil.rmtree(tmp_path / "store")
    (tmp_path / "raw/6.png").unlink()
    (tmp_path / "raw/6.png").write_bytes(b"edited")

    def locate(folder: str) -> FileLocator:
        return lambda name: tmp_path / folder / name

    booru.requests.clear()
    previous = PreviousSets(lambda: [locate("nowhere"), locate("raw"), locate("links")])
    assert run(tmp_path, url, 2, previous) == [6, 5]
    assert files(booru) == []
    assert not any(path.is_symlink() for path in (tmp_path / "raw").iterdir())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_a_file_of_another_user_is_copied(tmp_path: Path, site: tuple[ScriptedSite, str]) -> None:
    booru, url = site
    run(tmp_path, url, 1)
    shutil.copytree(tmp_path / "raw", tmp_path / "cache")
    shared = tmp_path / "cache/6.png"
    os.chown(shared, 12345, -1)
    shared.chmod(0o664)
    shutil.rmtree(tmp_path / "store")
    booru.requests.clear()
    assert run(tmp_path, url, 1, previous_set(tmp_path / "cache")) == [6]
    assert files(booru) == []
    assert (shared.stat().st_nlink, shared.stat().st_mode & 0o777) == (1, 0o664)


@pytest.mark.parametrize("text", ["", "no json", '{"file": 3}', "[]", '{"file": "6.png"}\n'])
def test_a_list_that_cannot_be_read_costs_nothing_but_the_files(
    tmp_path: Path, site: tuple[ScriptedSite, str], text: str
) -> None:
    booru, url = site
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / POSTS_FILE).write_text(text)
    assert run(tmp_path, url, 1, previous_set(tmp_path / "old")) == [6]
    assert files(booru) == ["6.png"]
