"""`pipeline clean`: what is kept, what it takes, and removing it."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from pipeline.kept_work import list_kept, remove
from pipeline.locks import hold, living_owner
from stages.resize import STAGE as RESIZE
from tests.images.originals import drawing, write_originals
from tests.scraping.site import ScriptedSite
from tests.stages.program import Finished, end, fork, pipeline, wait_until
from tests.stages.test_scrape import prepare

BLOCK = 4096


def write(path: Path, blocks: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(os.urandom(blocks * BLOCK))
    return path


def write_run(folder: Path, name: str, newest: int, **run: object) -> Path:
    checkpoint = write(folder / f"models/checkpoints/{name}/step-{newest:09}.pt", 1000)
    if run:
        (checkpoint.parent / "run.json").write_text(json.dumps(run))
    return checkpoint.parent


def rows(result: Finished) -> dict[str, str]:
    """What the list says of each path: its kind, its size and the rest of its line."""
    assert result.code == 0, result.err
    lines = [line for line in result.out.splitlines() if ": " in line and " MB  " in line]
    return {line.split("MB  ")[1].split(": ")[0]: line for line in lines}


def test_runs_are_listed_with_how_far_they_came(tmp_path: Path) -> None:
    write_run(tmp_path, "a", 40, finished=True, step=40)
    write_run(tmp_path, "b", 12, finished=False, step=0)
    write_run(tmp_path, "c", 7)
    (write_run(tmp_path, "d", 8) / "run.json").write_text("[")
    result = pipeline(tmp_path, "clean")
    found = rows(result)
    assert found["models/checkpoints/a"].endswith(": finished at step 40")
    assert found["models/checkpoints/b"].endswith(": unfinished, at step 12")
    assert found["models/checkpoints/c"].endswith(": at step 7")
    assert found["models/checkpoints/d"].endswith(": at step 8")
    assert found["models/checkpoints/c"].split()[:3] == ["checkpoints", "4.1", "MB"]
    assert result.out.splitlines()[-1] == "to remove: pipeline clean --remove checkpoints"
    assert len(list(tmp_path.rglob("*.pt"))) == 4


def test_logs_without_checkpoints_are_removed(tmp_path: Path) -> None:
    write_run(tmp_path, "a", 40)
    kept = write(tmp_path / "reports/train/runs/a/log.jsonl")
    ignored = write(tmp_path / "reports/train/runs/.gitignore")
    gone = write(tmp_path / "reports/train/runs/b/log.jsonl")
    assert rows(pipeline(tmp_path, "clean"))["reports/train/runs"].startswith("logs ")
    result = pipeline(tmp_path, "clean", "--remove", "logs")
    assert (result.code, gone.parent.exists()) == (0, False)
    assert kept.exists()
    assert ignored.exists()


def test_logs_are_removed_by_their_name_alone(tmp_path: Path) -> None:
    """No run makes them again."""
    write_run(tmp_path, "a", 40)
    log = write(tmp_path / "reports/train/runs/b/log.jsonl")
    listed = pipeline(tmp_path, "clean").out.splitlines()
    assert listed[-1] == "to remove: pipeline clean --remove checkpoints"
    assert pipeline(tmp_path, "clean", "--remove", "all").code == 0
    assert (log.exists(), list(tmp_path.rglob("*.pt"))) == (True, [])


def test_one_run_is_removed_by_its_path(tmp_path: Path) -> None:
    for name in "ab":
        write_run(tmp_path, name, 3)
    result = pipeline(tmp_path, "clean", "--remove", "models/checkpoints/a/")
    assert result.code == 0, result.err
    assert result.out.splitlines() == [
        "checkpoints models/checkpoints/a: removed, 4.1 MB freed",
        "4.1 MB freed",
    ]
    assert [path.name for path in (tmp_path / "models/checkpoints").iterdir()] == ["b"]


def test_what_is_in_use_stays(tmp_path: Path) -> None:
    """A run with a lock of its own is used alone; those without one are a training's together."""
    used, free = write_run(tmp_path, "used", 3), write_run(tmp_path, "free", 3)
    (free / "lock").touch()
    write(tmp_path / "data/.store/parts/x.part")
    with hold(used / "lock", "pipeline train"):
        listed = pipeline(tmp_path, "clean")
        result = pipeline(tmp_path, "clean", "--remove", "checkpoints,parts")
    assert f"in use by pipeline train, process {os.getpid()}" in listed.out
    assert result.code == 1
    (problem,) = result.err.splitlines()
    assert problem.startswith(
        "checkpoints models/checkpoints/used: not removed: models/checkpoints/used/lock: pipeline "
        f"train is running already (process {os.getpid()}, since "
    )
    assert (used / "step-000000003.pt").exists()
    assert not free.exists()
    assert not list((tmp_path / "data/.store").rglob("*.part"))


@pytest.mark.parametrize("kind", ["shards", "originals", "listing", "drawings", "leftovers"])
def test_a_stage_that_runs_keeps_its_own(tmp_path: Path, kind: str) -> None:
    write(tmp_path / "data/raw/posts.jsonl").write_text("")
    kept = [
        write(tmp_path / "data/.store" / name)
        for name in ("resized/ab/x.tar", "files/ab/abc", "listing.sqlite", "drawings/1.png")
    ]
    kept.append(write(tmp_path / "data/resized/.shard-000000.tar.x.tmp"))
    os.utime(kept[-1], (0, 0))
    names = ("data/.locks/resize.lock", "data/.locks/scrape.lock", "data/.store/drawings/.lock")
    with (
        hold(tmp_path / names[0], "pipeline resize"),
        hold(tmp_path / names[1], "pipeline scrape"),
        hold(tmp_path / names[2], "pipeline booru"),
    ):
        result = pipeline(tmp_path, "clean", "--remove", kind)
    assert result.code == 1
    assert "is running already" in result.err
    assert all(path.exists() for path in kept)
    assert pipeline(tmp_path, "clean", "--remove", kind).code == 0
    assert sum(path.exists() for path in kept) == len(kept) - 1


def test_removed_originals_are_fetched_again_when_they_are_wanted(tmp_path: Path) -> None:
    site = ScriptedSite(5)
    with site.serve() as url:
        folder = prepare(tmp_path, url, limit=5)
        assert pipeline(folder, "scrape").code == 0
        assert pipeline(folder, "scrape", "--limit", "3").code == 0
        result = pipeline(folder, "clean", "--remove", "originals")
        assert result.code == 0, result.err
        files = [path for path in (folder / "data/.store/files").rglob("*") if path.is_file()]
        assert len(files) == 3
        site.requests.clear()
        assert pipeline(folder, "scrape").code == 0
    assert sorted(path for path in site.paths() if path.startswith("/images")) == [
        "/images/1/1.png",
        "/images/1/2.png",
    ]
    assert len(list((folder / "data/raw").glob("*.png"))) == 5


def test_without_a_set_no_original_is_removed(tmp_path: Path) -> None:
    original = write(tmp_path / "data/.store/files/ab/abc")
    part = write(tmp_path / "data/.store/parts/x.part")
    result = pipeline(tmp_path, "clean", "--remove", "all")
    assert result.code == 1
    assert result.err == (
        "originals data/.store/files: not removed: there is no data/raw, so it is not known which "
        "are needed; run pipeline scrape\n"
    )
    assert original.exists()
    assert not part.exists()


def test_after_the_listing_is_removed_a_scrape_lists_anew(tmp_path: Path) -> None:
    site = ScriptedSite(5)
    with site.serve() as url:
        folder = prepare(tmp_path, url, limit=3)
        assert pipeline(folder, "scrape").code == 0
        assert pipeline(folder, "clean", "--remove", "listing").code == 0
        site.requests.clear()
        assert pipeline(folder, "scrape").code == 0
    assert not any(path.startswith("/images") for path in site.paths())
    assert any("s=post" in path for path, _ in site.requests)


def test_what_the_set_shares_is_counted_and_not_freed(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("resize: {size: 64, shard_size: 5}\ntrain: {crop: 32}\n")
    write_originals(tmp_path / "data/raw", {id: drawing(id, 90, 90) for id in range(1, 4)})
    assert pipeline(tmp_path, "resize").code == 0
    listed = pipeline(tmp_path, "clean")
    assert "removing frees 0.0 MB: the rest has other hard links" in listed.out
    lone = write(tmp_path / "data/.store/resized/other/x.tar", 1000)
    result = pipeline(tmp_path, "clean", "--remove", "shards")
    assert result.out.splitlines()[-1] == "4.1 MB freed"
    assert not lone.parents[1].exists()
    assert list((tmp_path / "data/resized").glob("*.tar"))
    assert pipeline(tmp_path, "resize").code == 0


def test_leftovers_of_a_killed_run(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("resize: {size: 64}\ntrain: {crop: 32}\n")
    write_originals(tmp_path / "data/raw", {id: drawing(id, 900, 900) for id in range(1, 30)})
    resize = fork(tmp_path, "resize", "--workers", "1")
    wait_until(lambda: any(tmp_path.glob("data/resized/.*.tmp")))
    resize.send_signal(signal.SIGKILL)
    end(resize)
    (left,) = tmp_path.glob("data/resized/.*.tmp")
    assert living_owner(tmp_path / RESIZE.lock) is None
    assert pipeline(tmp_path, "clean", "--remove", "leftovers").code == 0
    assert left.exists(), "a file that young may be somebody's"
    os.utime(left, (0, 0))
    assert (tmp_path / "data/raw/posts.jsonl").exists()
    write(tmp_path / "data/.raw.old/1.png")
    write(tmp_path / "models/checkpoints/a/step-000000001.pt.damaged")
    os.utime(tmp_path / "models/checkpoints/a/step-000000001.pt.damaged", (0, 0))
    result = pipeline(tmp_path, "clean", "--remove", "leftovers")
    assert result.code == 0, result.err
    assert not left.exists()
    assert not (tmp_path / "data/.raw.old").exists()
    assert not list(tmp_path.rglob("*.damaged"))
    assert not list(tmp_path.rglob("*.lock.json"))


@pytest.mark.parametrize("kind", ["leftovers", "all"])
def test_the_only_copy_of_the_set_is_no_leftover(tmp_path: Path, kind: str) -> None:
    only = write(tmp_path / "data/.raw.old/1.png")
    (tmp_path / "data/.raw.old/empty").mkdir()
    half = write(tmp_path / "data/.raw.new/1.png")
    result = pipeline(tmp_path, "clean", "--remove", kind)
    assert result.code == 0, result.err
    assert only.exists()
    assert (tmp_path / "data/.raw.old/empty").exists()
    assert not half.exists()


@pytest.mark.parametrize(
    "name",
    [
        "data/photo.damaged",
        "models/checkpoints/a/notes.damaged",
        "models/step-000000001.pt.damaged",
        "reports/step-000000001.pt.damaged",
    ],
)
def test_a_users_own_damaged_file_is_no_leftover(tmp_path: Path, name: str) -> None:
    own = write(tmp_path / name)
    os.utime(own, (0, 0))
    assert pipeline(tmp_path, "clean", "--remove", "leftovers").code == 0
    assert own.exists()


def test_a_run_that_is_trained_right_afterwards_keeps_its_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trainer that takes the lock as soon as `clean` has released it."""
    run = write_run(tmp_path, "a", 3)
    lock = Path("models/checkpoints/a/lock")
    write(run / "lock")
    monkeypatch.chdir(tmp_path)
    with ExitStack() as training:

        @contextmanager
        def hold_then_train(path: Path, command: str) -> Iterator[None]:
            with hold(path, command):
                yield
            training.enter_context(hold(path, "pipeline train"))

        monkeypatch.setattr("pipeline.kept_work.hold", hold_then_train)
        (kept,) = list_kept()
        assert kept.locks == (lock,)
        assert remove(kept).problem is None
        assert lock.exists()
        assert living_owner(lock) is not None


def test_a_store_behind_a_link_stays_usable(tmp_path: Path) -> None:
    (tmp_path / "disk/parts").mkdir(parents=True)
    part = write(tmp_path / "disk/parts/x.part")
    (tmp_path / "project/data").mkdir(parents=True)
    (tmp_path / "project/data/.store").symlink_to(tmp_path / "disk")
    assert pipeline(tmp_path / "project", "clean", "--remove", "parts").code == 0
    assert not part.exists()
    assert (tmp_path / "project/data/.store").is_dir()


def test_where_nothing_is_kept(tmp_path: Path) -> None:
    result = pipeline(tmp_path, "clean")
    assert result.out == "total             0.0 MB  removing all frees 0.0 MB\n"
    assert list(tmp_path.iterdir()) == []
