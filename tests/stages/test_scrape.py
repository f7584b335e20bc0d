"""`pipeline scrape` as a program: killed, interrupted, run twice, given nonsense."""

import hashlib
import json
import signal
import socket
from collections import Counter
from pathlib import Path

import pytest

from pipeline.scraping.store import Store
from tests.scraping.site import CHALLENGE, ScriptedSite, answer, picture, rot, stalled
from tests.stages.program import end, fork, pipeline, start, wait_until
from tests.waiting import start_waiting

COUNT = 40


def prepare(folder: Path, url: str, **values: object) -> Path:
    """A project folder whose params scrape `url` without pauses."""
    quick = {
        "site": url,
        "limit": COUNT,
        "min_side": 8,
        "api_interval": 0,
        "file_interval": 0,
        "retries": 1,
    }
    folder.mkdir(exist_ok=True)
    lines = [f"  {key}: {json.dumps(value)}" for key, value in (quick | values).items()]
    (folder / "params.yaml").write_text("\n".join(["scrape:", *lines, ""]))
    return folder


def stored(folder: Path) -> int:
    return sum(path.is_file() for path in (folder / "data/.store/files").rglob("*"))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "data/raw").iterdir()}


def test_kills_leave_nothing_half_made_and_cost_no_file_twice(tmp_path: Path) -> None:
    site = ScriptedSite(COUNT + 5)
    site.page_size = 10
    with site.serve() as url:
        whole = prepare(tmp_path / "whole", url)
        assert pipeline(whole, "scrape").code == 0
        site.requests.clear()
        killed = prepare(tmp_path / "killed", url, file_interval=0.03)
        complete: set[str] = set()
        for wanted in (1, 12, 25):
            asked = len(site.requests)
            process = fork(killed, "scrape")
            wait_until(lambda wanted=wanted: stored(killed) >= wanted)  # type: ignore[misc]
            process.kill()
            end(process)
            again = {path for path, _ in site.requests[asked:]} & complete
            assert again == set()
            complete = complete_files(killed, site)
            assert not (killed / "data/raw").exists()
        asked = len(site.requests)
        assert pipeline(killed, "scrape").code == 0
        assert {path for path, _ in site.requests[asked:]} & complete == set()
    assert contents(killed) == contents(whole)
    reports = [(folder / "reports/scrape.json").read_bytes() for folder in (whole, killed)]
    assert reports[0] == reports[1]
    assert list((killed / "data/.store/parts").iterdir()) == []
    listings = Counter(path for path, _ in site.requests if path.startswith("/index.php"))
    assert all(times <= 2 for times in listings.values())


STUCK_DISK = """
import os, sys, time
from pipeline import files
from stages.app import main
sync_file = files.sync_file
def stuck(path):
    if ".scrape.json." in path.name:
        print(path.name, flush=True)
        time.sleep(600)
    sync_file(path)
files.sync_file = stuck
os.chdir(sys.argv[1])
sys.argv = ["pipeline", "scrape"]
main()
"""


def test_the_next_run_removes_the_temporary_file_that_a_killed_one_left(tmp_path: Path) -> None:
    site = ScriptedSite(3)
    with site.serve() as url:
        folder = prepare(tmp_path, url, limit=3)
        process, name = start_waiting(STUCK_DISK, folder)
        process.kill()
        process.communicate()
        assert (folder / "reports" / name).is_file()
        assert pipeline(folder, "scrape").code == 0
    assert list(folder.rglob("*.tmp")) == []


def test_what_an_experiment_in_a_copy_fetched_is_kept_with_the_project(tmp_path: Path) -> None:
    """`dvc exp run --temp` removes its copy, whatever the end was."""
    site = ScriptedSite(COUNT)
    with site.serve() as url:
        for name in ("first", "second"):
            (tmp_path / ".dvc/tmp/exps").mkdir(parents=True, exist_ok=True)
            copy = prepare(tmp_path / ".dvc/tmp/exps" / name, url)
            result = pipeline(copy, "scrape", DVC_ROOT=str(tmp_path))
            assert result.code == 0, result.err
            assert len(contents(copy)) == COUNT + 1
            assert not (copy / "data/.store").exists()
    assert stored(tmp_path) == COUNT
    fetched = Counter(path for path, _ in site.requests if path in site.files)
    assert set(fetched.values()) == {1}


def complete_files(folder: Path, site: ScriptedSite) -> set[str]:
    """Return the paths on the site of the files that are complete in a store."""
    paths = {hashlib.sha256(body).hexdigest(): path for path, body in site.files.items()}
    names = [path.name for path in (folder / "data/.store/files").rglob("*") if path.is_file()]
    return {paths[name] for name in names}


def test_a_second_run_says_so_and_stops(tmp_path: Path) -> None:
    folder = prepare(tmp_path, "http://127.0.0.1:1")
    with Store(folder / "data/.store"):
        results = [pipeline(folder, "scrape", *more) for more in ([], ["--dry-run"])]
    for result in results:
        assert result.code == 1
        assert result.err.startswith(
            "data/.store/lock: pipeline scrape is running already (process "
        )
        assert len(result.err.splitlines()) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_while_the_server_is_silent(tmp_path: Path, number: int) -> None:
    """It ends long before the server's silence counts as a fault, and the next run goes on."""
    site = ScriptedSite(COUNT)
    site.faults["/images/1/20.png"] = [stalled]
    with site.serve() as url:
        folder = prepare(tmp_path, url, timeout=600)
        process = start(folder, "scrape")
        wait_until(lambda: stored(folder) == COUNT - 1)
        process.send_signal(number)
        result = end(process)
        assert result.code == 130, result.err
        assert result.problems[-1] == "interrupted; run the same command again to go on"
        assert "Traceback" not in result.err
        assert not (folder / "data/raw").exists()
        assert pipeline(folder, "scrape").code == 0
    assert len(contents(folder)) == COUNT + 1
    assert Counter(site.paths())["/images/1/20.png"] == 2
    assert Counter(site.paths())["/images/1/19.png"] == 1


def test_a_dry_run_lists_and_fetches_nothing(tmp_path: Path) -> None:
    site = ScriptedSite(9)
    site.posts[0]["rating"] = "explicit"
    with site.serve() as url:
        folder = prepare(tmp_path, url, limit=3)
        result = pipeline(folder, "scrape", "--dry-run")
        site.posts[0]["rating"] = "general"
        again = pipeline(folder, "scrape", "--dry-run", "--refresh")
        assert not any(path.startswith("/images") for path in site.paths())
    assert result.code == 0, result.err
    expected = [f"{n}\t40×32\t~0.00 MB\tfetch\t{url}/images/1/{n}.png" for n in (8, 7, 6)]
    assert result.out.splitlines() == expected
    assert result.problems[-3:] == [
        "stored         0",
        "to fetch       3  about 0.0 MB",
        "rejected       1  ratings 1",
    ]
    assert [line.split("\t")[0] for line in again.out.splitlines()] == ["9", "8", "7"]
    assert not (tmp_path / "data/raw").exists()
    assert not (tmp_path / "reports").exists()


def test_a_dry_run_that_falls_short_lists_what_there_is(tmp_path: Path) -> None:
    with ScriptedSite(4).serve() as url:
        result = pipeline(prepare(tmp_path, url, limit=6), "scrape", "--dry-run")
    assert result.code == 1
    assert [line.split("\t")[0] for line in result.out.splitlines()] == ["4", "3", "2", "1"]
    assert result.problems[-1].startswith(f"{url}: 2 of 6 pictures are missing: listed 4, accepted")
    assert "data/.store" not in result.problems[-1]


def test_failures_are_tried_again_when_asked(tmp_path: Path) -> None:
    site = ScriptedSite(5)
    site.faults["/images/1/4.png"] = [answer(404)]
    with site.serve() as url:
        folder = prepare(tmp_path, url, limit=5)
        assert pipeline(folder, "scrape").code == 1
        site.requests.clear()
        result = pipeline(folder, "scrape", "--retry-failed")
    assert result.code == 0, result.err
    assert site.paths() == ["/robots.txt", "/images/1/4.png"]
    assert len(contents(folder)) == 6


def test_damage_on_disk_is_found_and_mended(tmp_path: Path) -> None:
    """One file rotted under both of its names, one is edited in the set, one is missing there."""
    site = ScriptedSite(5)
    with site.serve() as url:
        folder = prepare(tmp_path, url, limit=5)
        assert pipeline(folder, "scrape").code == 0
        whole = contents(folder)
        assert pipeline(folder, "scrape", "--check").problems[-1] == (
            "10 files checked: all are intact"
        )
        rot(folder / "data/raw/5.png")
        (folder / "data/raw/4.png").unlink()
        (folder / "data/raw/4.png").write_bytes(b"edited")
        (folder / "data/raw/3.png").unlink()
        (stored_5,) = [path for path in files(folder) if sha256(path) != path.name]
        site.requests.clear()
        result = pipeline(folder, "scrape", "--check")
        assert (result.code, result.problems[-1]) == (
            1,
            "4 of 10 files are damaged or missing: data/raw/3.png, data/raw/4.png, data/raw/5.png, "
            f"{stored_5.relative_to(folder)}; 1 removed from store or cache; "
            "run pipeline scrape to restore them",
        )
        assert site.requests == []
        assert not stored_5.exists()
        assert pipeline(folder, "scrape").code == 0
        assert site.paths() == ["/robots.txt", "/images/1/5.png"]
    assert contents(folder) == whole
    assert pipeline(folder, "scrape", "--check").code == 0


def files(folder: Path) -> list[Path]:
    return [path for path in (folder / "data/.store/files").rglob("*") if path.is_file()]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_set_from_a_folder_is_checked_too(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    for number in range(3):
        (tmp_path / f"own/{number}.png").write_bytes(picture(number))
    folder = prepare(tmp_path / "project", (tmp_path / "own").as_uri(), excluded_tags=[])
    assert pipeline(folder, "scrape", "--check").problems[-1] == (
        "data/raw/posts.jsonl: not found; run pipeline scrape first"
    )
    assert pipeline(folder, "scrape").code == 0
    rotten = sorted((folder / "data/raw").glob("*.png"))[0]
    rot(rotten)
    result = pipeline(folder, "scrape", "--check")
    assert (result.code, result.problems[-1]) == (
        1,
        f"1 of 3 files are damaged or missing: data/raw/{rotten.name}; "
        "run pipeline scrape to restore them",
    )
    assert pipeline(folder, "scrape").code == 0
    assert pipeline(folder, "scrape", "--check").code == 0
    assert not (folder / "data/.store").exists()


def test_a_set_that_dvc_would_not_track_is_reported_before_anything_is_fetched(
    tmp_path: Path,
) -> None:
    site = ScriptedSite(2)
    (tmp_path / "disk").mkdir()
    with site.serve() as url:
        folder = prepare(tmp_path / "project", url, limit=2)
        (folder / "data").symlink_to(tmp_path / "disk")
        result = pipeline(folder, "scrape", DVC_STAGE="scrape")
        assert (result.code, len(result.problems)) == (1, 1), result.err
        assert result.err.startswith(f"data: leads to {tmp_path}/disk, out of the project")
        assert site.requests == []
        assert pipeline(folder, "scrape").code == 0
    assert len(contents(folder)) == 3


def test_a_report_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    site = ScriptedSite(2)
    with site.serve() as url:
        folder = prepare(tmp_path, url, limit=2)
        (folder / "reports/scrape.json").mkdir(parents=True)
        result = pipeline(folder, "scrape")
    assert (result.code, result.problems[-1]) == (
        1,
        "reports/scrape.json: cannot be written: Is a directory",
    )
    assert "Traceback" not in result.err


def test_a_challenge_has_an_exit_code_of_its_own(tmp_path: Path) -> None:
    site = ScriptedSite(5)
    site.faults["/index.php"] = [answer(403, CHALLENGE)]
    with site.serve() as url:
        result = pipeline(prepare(tmp_path, url), "scrape")
    assert result.code == 3
    assert "the site asks for proof of a human" in result.problems[-1]


def test_messages_of_a_scrape(tmp_path: Path) -> None:
    site = ScriptedSite(9)
    site.posts[0]["rating"] = "explicit"
    with site.serve() as url:
        result = pipeline(prepare(tmp_path, url), "scrape", "--limit", "3")
    assert result.code == 0, result.err
    assert result.problems[-4:] == [
        "accepted       3  0.0 MB in data/raw; 0 differ from the announced md5",
        "rejected       1  ratings 1",
        "failed         0",
        "listed         4  these counts are in reports/scrape.json; again by scrape.until=8",
    ]
    report = json.loads((tmp_path / "reports/scrape.json").read_text())
    assert (report["accepted"], report["rejected"]) == (3, {"ratings": 1})


@pytest.mark.parametrize(
    ("options", "code", "problem"),
    [
        (["--site", "safebooru"], 2, "--site: safebooru: no such folder; name one that holds"),
        (["--site", "ftp://b.test"], 2, "--site: 'ftp://b.test' is no address of a site"),
        (["--site", "http://[bad"], 2, "--site: 'http://[bad' is no address of a site"),
        (["--ratings", "nice"], 2, "--ratings: 'nice' is unknown; known are"),
        (["--dry-run", "--retry-failed"], 2, "--retry-failed: takes neither --dry-run nor --ref"),
        (["--check", "--dry-run"], 2, "--check: takes none of --dry-run, --retry-failed, --ref"),
        (["--site", "https://b.test/?tags=solo"], 2, "write https://b.test, and solo in scrape."),
        (["--retry-failed"], 2, "no posts of http://127.0.0.1:"),
        (["--file-types", "mp4"], 2, "--file-types: 'mp4' is unknown; known are"),
        (["--retries", "0"], 1, "cannot be reached: Connection refused; check scrape.site"),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, options: list[str], code: int, problem: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    result = pipeline(prepare(tmp_path, url), "scrape", *options)
    lines = [line for line in result.problems if not line.startswith("scrape: 0/")]
    assert (result.code, len(lines)) == (code, 1), result.err
    assert problem in lines[0]
    assert not (tmp_path / "data/raw").exists()
