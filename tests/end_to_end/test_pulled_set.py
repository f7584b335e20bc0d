"""A set that `dvc pull` brought, in a clone that has no store: real git, real DVC."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scraping.site import ScriptedSite
from tests.stages.program import pipeline

DVC_YAML = """\
stages:
  scrape:
    cmd: pipeline scrape
    params: [scrape]
    outs:
      - data/raw
      - reports/scrape.json: {cache: false}
"""


def do(folder: Path, *command: str) -> None:
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "DVC_NO_ANALYTICS": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": "n",
        "GIT_AUTHOR_EMAIL": "n@example.org",
        "GIT_COMMITTER_NAME": "n",
        "GIT_COMMITTER_EMAIL": "n@example.org",
    }
    result = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


def dvc(folder: Path, *arguments: str) -> None:
    do(folder, sys.executable, "-m", "dvc", *arguments)


def commit(folder: Path) -> None:
    do(folder, "git", "add", "--all")
    do(folder, "git", "commit", "--quiet", "-m", "A run")


def set_limit(folder: Path, url: str, limit: int) -> None:
    params = {
        "site": url,
        "limit": limit,
        "min_side": 8,
        "api_interval": 0,
        "file_interval": 0,
    }
    (folder / "params.yaml").write_text(json.dumps({"scrape": params}))


def fetched(site: ScriptedSite) -> list[str]:
    """The files asked for since the last call."""
    paths = [path for path in site.paths() if path.startswith("/images")]
    site.requests.clear()
    return sorted(Path(path).name for path in paths)


@pytest.fixture
def clone(tmp_path: Path, site: tuple[ScriptedSite, str]) -> Path:
    """A clone of a project with a set of four pictures, which were pulled."""
    origin, url = tmp_path / "origin", site[1]
    origin.mkdir()
    do(origin, "git", "init", "--quiet")
    dvc(origin, "init", "--quiet")
    dvc(origin, "remote", "add", "--default", "shared", str(tmp_path / "remote"))
    (origin / "dvc.yaml").write_text(DVC_YAML)
    (origin / ".gitignore").write_text("/data/.store/\n")
    set_limit(origin, url, 4)
    dvc(origin, "repro")
    commit(origin)
    dvc(origin, "push")
    do(tmp_path, "git", "clone", "--quiet", "origin", "clone")
    dvc(tmp_path / "clone", "pull")
    site[0].requests.clear()
    return tmp_path / "clone"


@pytest.fixture
def site() -> Iterator[tuple[ScriptedSite, str]]:
    site = ScriptedSite(8)
    with site.serve() as url:
        yield site, url


def test_a_pulled_set_is_not_fetched_again(clone: Path, site: tuple[ScriptedSite, str]) -> None:
    booru, url = site
    set_limit(clone, url, 5)
    dvc(clone, "repro")
    assert fetched(booru) == ["4.png"]
    assert len(list((clone / "data/raw").glob("*.png"))) == 5
    commit(clone)
    dvc(clone, "exp", "run", "--temp", "-S", "scrape.limit=6")
    assert fetched(booru) == ["3.png"]


def test_damage_in_the_cache_is_found_and_mended(
    clone: Path, site: tuple[ScriptedSite, str]
) -> None:
    """With links, set, store and cache are one file, which DVC itself would link again."""
    booru, _ = site
    dvc(clone, "config", "cache.type", "hardlink")
    dvc(clone, "checkout", "--relink")
    assert pipeline(clone, "scrape").code == 0
    picture = clone / "data/raw/8.png"
    assert picture.stat().st_nlink == 3
    booru.requests.clear()
    whole = picture.read_bytes()
    picture.chmod(0o644)
    picture.write_bytes(whole[:-30] + bytes(30))
    result = pipeline(clone, "scrape", "--check")
    assert (result.code, result.problems[-1][:38]) == (1, "3 of 14 files are damaged or missing: ")
    assert "2 removed from store or cache" in result.problems[-1]
    assert pipeline(clone, "scrape").code == 0
    assert fetched(booru) == ["8.png"]
    dvc(clone, "commit", "--force")
    for path in (clone / "data/raw").iterdir():
        path.unlink()
    dvc(clone, "checkout")
    assert picture.read_bytes() == whole


def test_a_damaged_list_of_posts_costs_no_picture(clone: Path) -> None:
    """The cache's pictures prove themselves; what the list says of them counts for nothing."""
    assert pipeline(clone, "scrape").code == 0
    posts = (clone / "data/raw/posts.jsonl").read_bytes()
    cached = {path: path.read_bytes() for path in (clone / ".dvc/cache/files/md5").rglob("??*/*")}
    (listed,) = [path for path, content in cached.items() if content == posts]
    listed.chmod(0o644)
    listed.write_bytes(posts.replace(b"0", b"1"))
    assert listed.read_bytes() != posts
    result = pipeline(clone, "scrape", "--check")
    assert (result.code, result.problems[-1][:37]) == (1, "1 of 14 files are damaged or missing:")
    assert {path for path in cached if not path.exists()} == {listed}
