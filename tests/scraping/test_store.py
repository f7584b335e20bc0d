"""The store after it was closed, killed or damaged."""

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.errors import PipelineError
from pipeline.scraping import databases, queries
from pipeline.scraping.databases import STATE_LAYOUTS, Database
from pipeline.scraping.listings import Listing
from pipeline.scraping.posts import Malformed, Page, Post, TagCategories
from pipeline.scraping.store import Store, StoredFile, naming_faults

POST = Post(7, 40, 32, "http://b.test/7.png", "ab", "safe", ("1girl", "solo"), "“src”", 3)
URL = "http://b.test/index.php?id=7"
BODY = b"a whole picture"
SHA256, MD5 = hashlib.sha256(BODY).hexdigest(), hashlib.md5(BODY).hexdigest()


def keep(store: Store, post: Post = POST) -> None:
    store.begin_transfer(post, URL, len(BODY), '"etag"')
    store.part_path(post).write_bytes(BODY)
    store.commit(post, SHA256, MD5, len(BODY))


def test_a_kept_file_is_found_again(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        assert store.find(POST) is None
        store.begin_transfer(POST, URL, len(BODY), '"etag"')
        assert store.find(POST) == StoredFile("ab", len(BODY), '"etag"', None, None)
        keep(store)
    with Store(tmp_path) as store:
        assert store.find(POST) == StoredFile(
            "ab", len(BODY), '"etag"', SHA256, MD5, mismatch_tries=1
        )
        path = store.file_path(SHA256)
        assert path == tmp_path / "files" / SHA256[:2] / SHA256
        assert (path.read_bytes(), path.stat().st_mode & 0o777) == (BODY, 0o444)
        assert list((tmp_path / "parts").iterdir()) == []


def test_another_file_under_the_same_id_is_another_file(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        keep(store)
        assert store.find(replace(POST, md5="cd")) is None
        assert store.find(replace(POST, file_url="http://other.test/7.png")) is None
        assert store.find(replace(POST, tags=(), rating="general")) is not None


def test_api_and_web_page_name_the_same_file(tmp_path: Path) -> None:
    """The web page doubles a slash and has no md5."""
    with Store(tmp_path) as store:
        keep(store)
        found = store.find(replace(POST, md5="", file_url="https://B.test//7.png?12"))
        assert found is not None
        assert found.sha256 == SHA256


def test_two_posts_may_have_the_same_bytes(tmp_path: Path) -> None:
    twin = replace(POST, id=8, file_url="http://b.test/8.png")
    with Store(tmp_path) as store:
        keep(store)
        keep(store, twin)
        assert store.find(POST) == store.find(twin)
        assert sum(path.is_file() for path in (tmp_path / "files").rglob("*")) == 1


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: truncate(path)])
def test_a_file_that_is_gone_or_cut_is_not_whole(tmp_path: Path, damage: object) -> None:
    with Store(tmp_path) as store:
        keep(store)
        damage(store.file_path(SHA256))  # type: ignore[operator]
        assert store.find(POST) == StoredFile("ab", len(BODY), None, None, None)
        keep(store)
        assert store.file_path(SHA256).read_bytes() == BODY


def truncate(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(BODY[:3])


def test_a_file_that_rotted_is_dropped(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        keep(store)
        path = store.file_path(SHA256)
        assert store.is_intact(SHA256)
        rot(path)
        assert store.find(POST) is not None
        assert not store.is_intact(SHA256)
        assert not path.exists()
        assert not store.is_intact(SHA256)
        keep(store)
        assert store.is_intact(SHA256)


def rot(path: Path) -> None:
    """Change a file as a disk does: same length, same time."""
    stat = path.stat()
    path.chmod(0o644)
    path.write_bytes(BODY[::-1])
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_a_file_that_differs_is_doubtful_until_it_came_three_times(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        keep(store)
        for doubtful in (True, True, False):
            found = store.find(POST)
            assert found is not None
            assert (found.md5_differs(POST), found.needs_retry(POST)) == (True, doubtful)
            store.count_mismatch_try(POST)
        right = replace(POST, md5=MD5, file_url="http://b.test/8.png")
        keep(store, right)
        found = store.find(right)
        assert found is not None
        assert not found.md5_differs(right)


def test_a_file_that_another_replaces_is_dropped_unless_it_is_in_use(tmp_path: Path) -> None:
    other = b"another whole picture"
    sha256, md5 = hashlib.sha256(other).hexdigest(), hashlib.md5(other).hexdigest()
    twin = replace(POST, id=8, file_url="http://b.test/8.png")
    with Store(tmp_path) as store:
        for post, left in ((twin, True), (POST, False)):
            for kept in (POST, twin):
                if left:
                    keep(store, kept)
            store.part_path(post).write_bytes(other)
            store.commit(post, sha256, md5, len(other))
            assert store.file_path(SHA256).exists() is left
            assert store.file_path(sha256).read_bytes() == other
        assert store.file_paths() == [store.file_path(sha256)]


def test_a_move_that_a_kill_cut_short_is_finished(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        keep(store)
        store.file_path(SHA256).rename(store.part_path(POST))
    with Store(tmp_path) as store:
        assert store.file_path(SHA256).read_bytes() == BODY
        assert not store.part_path(POST).exists()


def test_only_parts_that_can_be_continued_are_left(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        unknown = tmp_path / "parts" / "unknown"
        corrupt = replace(POST, id=8, file_url="http://b.test/8.png")
        unknown.write_bytes(b"x")
        keep(store, corrupt)
        store.file_path(SHA256).unlink()
        store.part_path(corrupt).write_bytes(b"other bytes")
        store.begin_transfer(POST, URL, 100, '"etag"')
        store.part_path(POST).write_bytes(b"half")
    with Store(tmp_path) as store:
        assert [path.name for path in (tmp_path / "parts").iterdir()] == [
            store.part_path(POST).name
        ]
        found = store.find(corrupt)
        assert found is not None
        assert found.sha256 is None


def test_a_listing_goes_on(tmp_path: Path) -> None:
    second = replace(POST, id=2)
    with Store(tmp_path) as store:
        begun = store.listings.get("k")
        assert (begun.cursor, begun.finished) == (None, False)
        store.listings.add_page("k", Page((POST,), malformed=(Malformed(5, "width: missing"),)))
    with Store(tmp_path) as store:
        assert store.listings.get("k") == Listing(begun.started_at, 5, finished=False)
        store.listings.add_page("k", Page((second,)))
        store.listings.add_page("k", Page())
        assert store.listings.get("k") == Listing(begun.started_at, 2, finished=True)
        assert store.listings.posts_below("k", None, 2) == [POST, Malformed(5)]
        assert store.listings.posts_below("k", 5, 2) == [second]
        assert list(store.listings.posts("k", [2, 7])) == [second, POST]
        assert store.listings.get("other").cursor is None
        assert store.listings.posts_below("other", None, 2) == []
        store.listings.mark_short("k")
        assert store.listings.get("k").is_short
        store.listings.add_page("k", Page((second,)), anew=True)
        assert not store.listings.get("k").is_short
        assert store.listings.get("k").cursor == 2
        assert store.listings.posts_below("k", None, 2) == [second]


def test_records_of_earlier_versions_are_read_and_cleaned(tmp_path: Path) -> None:
    dirty = replace(POST, tags=("a", "b\u2028c"), source="a\rb", parent_id=0)
    huge = replace(POST, id=6, width=2**40)
    with Store(tmp_path) as store:
        store.listings.add_page("k", Page((dirty, huge)))
        first, second = store.listings.posts_below("k", None, 9)
    assert first == replace(dirty, tags=("a", "b_c"), source="a b")
    assert second == Malformed(6)


def test_the_fault_of_a_malformed_record_is_kept_where_it_is_known(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.listings.add_page("k", Page((), malformed=(Malformed(5, "width: missing"),)))
    with Store(tmp_path) as store:
        assert [record.fault for record in faults(store)] == ["width: missing"]
    # Earlier versions kept none.
    with closing(sqlite3.connect(tmp_path / "listing.sqlite")) as database, database:
        database.execute("UPDATE posts SET record = NULL")
    with Store(tmp_path) as store:
        assert [record.fault for record in faults(store)] == [""]


def faults(store: Store) -> list[Malformed]:
    records = store.listings.posts_below("k", None, 9)
    return [record for record in records if isinstance(record, Malformed)]


def test_the_largest_id_is_listed(tmp_path: Path) -> None:
    largest = replace(POST, id=2**63 - 1)
    with Store(tmp_path) as store:
        store.listings.add_page("k", Page((largest, POST)))
        assert store.listings.posts_below("k", None, 9) == [largest, POST]
        assert store.listings.posts_below("k", largest.id, 9) == [POST]


def test_a_failure_is_noted_until_the_file_is_there(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.record_failure(POST, URL, "http_404")
        store.record_failure(POST, URL, "timeout")
        assert failures(tmp_path) == [(7, "timeout", 2)]
        assert store.count_failed() == 1
        keep(store)
        assert failures(tmp_path) == [(7, None, 3)]
        assert store.count_failed() == 0


def test_where_a_file_came_from_is_kept(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        keep(store)
    with closing(sqlite3.connect(tmp_path / "state.sqlite")) as database:
        query = "SELECT post_url, source, rating, tags, validator, fetched_at FROM files"
        (row,) = database.execute(query).fetchall()
    assert row[:5] == (URL, POST.source, "safe", "1girl solo", '"etag"')
    assert datetime.fromisoformat(row[5]).tzinfo == UTC


def failures(folder: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(folder / "state.sqlite")) as database:
        return database.execute("SELECT post_id, failure, tries FROM files").fetchall()


def test_only_one_run_at_a_time(tmp_path: Path) -> None:
    with Store(tmp_path):
        with pytest.raises(PipelineError) as error, Store(tmp_path):
            pass
        assert str(error.value).startswith(f"{tmp_path}/lock: pipeline scrape is running already")
    with Store(tmp_path):
        pass


def test_a_store_that_cannot_be_opened_closes_its_databases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[Database] = []
    monkeypatch.setattr(Database, "close", lambda database: closed.append(database))
    (tmp_path / "parts/folder").mkdir(parents=True)
    with pytest.raises(OSError, match="parts/folder"), Store(tmp_path):
        pass
    assert len(closed) == 1


def test_a_store_whose_databases_cannot_be_closed_is_released(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(database: Database) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patched:
        patched.setattr(Database, "close", fail)
        with pytest.raises(sqlite3.OperationalError), Store(tmp_path):
            pass
    with Store(tmp_path):
        pass


def test_a_store_of_the_first_layout_is_brought_up_to_date(tmp_path: Path) -> None:
    """The first layout named a file by address and md5, and knew less of it."""
    names = {url: hashlib.sha256(f"{url}\nab".encode()).hexdigest() for url in (POST.file_url, "x")}
    with closing(sqlite3.connect(tmp_path / "state.sqlite")) as database:
        database.executescript(STATE_LAYOUTS[0] + "PRAGMA user_version = 1;")
        row = (names[POST.file_url], 7, URL, POST.file_url, "ab", len(BODY), None, SHA256, MD5, "t")
        database.execute(f"INSERT INTO files VALUES ({'?, ' * 10} 1, NULL)", row)
        lost = (names["x"], 8, URL, "x", "ab", None, None, None, None, None)
        database.execute(f"INSERT INTO files VALUES ({'?, ' * 10} 2, 'http_404')", lost)
        database.commit()
    (tmp_path / "files" / SHA256[:2]).mkdir(parents=True)
    (tmp_path / "files" / SHA256[:2] / SHA256).write_bytes(BODY)
    with Store(tmp_path) as store:
        assert store.find(POST) == StoredFile("ab", len(BODY), None, SHA256, MD5, mismatch_tries=2)
        assert store.count_failed() == 1


@pytest.mark.parametrize(("name", "layouts"), [("state.sqlite", 4), ("listing.sqlite", 3)])
def test_databases_that_cannot_be_used(tmp_path: Path, name: str, layouts: int) -> None:
    with Store(tmp_path):
        pass
    with closing(sqlite3.connect(tmp_path / name)) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(PipelineError, match=f"{name}: has layout 99, this program knows {layouts}"):
        Store(tmp_path).__enter__()
    (tmp_path / name).write_bytes(b"no database at all" * 500)
    with pytest.raises(PipelineError, match="its databases cannot be used"):
        Store(tmp_path).__enter__()


def test_records_of_earlier_versions_are_read(tmp_path: Path) -> None:
    """They lack what only some sites have."""
    rated = replace(POST, id=8, score=-3, favourites=2, tag_categories=TagCategories(("x",)))
    with Store(tmp_path) as store:
        store.listings.add_page("k", Page((rated, POST)))
    with closing(sqlite3.connect(tmp_path / "listing.sqlite")) as database:
        database.execute(
            "UPDATE posts SET record = json_remove(record, '$.score', '$.favourites', "
            "'$.tag_categories') WHERE id = 7"
        )
        database.execute("PRAGMA user_version = 2")
        database.commit()
    with Store(tmp_path) as store:
        assert store.listings.posts_below("k", None, 2) == [rated, POST]


def test_a_removed_listing_costs_no_file(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        keep(store)
        store.listings.add_page("k", Page((POST,)))
        path = store.listing_path
    path.unlink()
    with Store(tmp_path) as store:
        assert store.listings.get("k").cursor is None
        assert store.find(POST) is not None


def test_a_store_whose_files_were_removed_meanwhile_is_closed(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        keep(store)
        shutil.rmtree(tmp_path / "files")
        assert store.find(POST) == StoredFile("ab", len(BODY), None, None, None)


LOCKER = """\
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
for statement in sys.argv[2:]:
    database.execute(statement)
print(flush=True)
sys.stdin.read()
"""
EXCLUSIVE = ("PRAGMA locking_mode = EXCLUSIVE", "BEGIN IMMEDIATE")


@contextmanager
def locked(database: Path, *statements: str) -> Iterator["subprocess.Popen[str]"]:
    """Another program that executes statements, and goes on until its input is closed."""
    command = [sys.executable, "-c", LOCKER, database, *statements]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        end(process)


def end(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.close()


@pytest.mark.parametrize("name", ["state.sqlite", "listing.sqlite"])
@pytest.mark.parametrize("statements", [("BEGIN IMMEDIATE",), EXCLUSIVE])
def test_a_lock_of_another_program_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, statements: tuple[str, ...]
) -> None:
    """As of a database browser with changes that were not written; some lock for reading, too."""
    monkeypatch.setattr(databases, "_LOCKED_SECONDS", 0.05)
    messages: list[str] = []
    with Store(tmp_path):
        pass
    with locked(tmp_path / name, *statements) as other:

        def log(text: str) -> None:
            messages.append(text)
            end(other)

        with Store(tmp_path, log) as store:
            store.record_failure(POST, URL, "http_404")
            assert store.count_failed() == 1
    (message,) = messages
    assert message.startswith(f"{tmp_path}/state.sqlite: is locked by ")
    assert message.endswith(f" (process {other.pid}); waiting until it is closed there")


def test_a_lock_that_stays_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "_LOCKED_SECONDS", 0.05)
    monkeypatch.setattr(databases, "_MAX_LOCKED_SECONDS", 0.0)
    with Store(tmp_path) as store, locked(tmp_path / "state.sqlite", "BEGIN IMMEDIATE"):
        with pytest.raises(PipelineError, match="close it there, then run the same command again"):
            store.record_failure(POST, URL, "http_404")
        assert store.count_failed() == 0


def test_databases_are_closed_while_a_thread_waits_for_a_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "_LOCKED_SECONDS", 0.05)
    waits = threading.Event()
    database = Database(tmp_path, tmp_path / "listing.sqlite", lambda _: waits.set())
    with (
        locked(tmp_path / "state.sqlite", "BEGIN IMMEDIATE"),
        ThreadPoolExecutor(1) as pool,
    ):
        waiting = pool.submit(database.write, queries.INSERT_LISTING, {})
        assert waits.wait(60)
        database.close()
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            waiting.result()


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("listing.sqlite", "remove it, and it is made again: pipeline clean --remove listing"),
        ("state.sqlite", "move .* away, and all is fetched again"),
    ],
)
def test_a_damaged_database_is_named(tmp_path: Path, name: str, advice: str) -> None:
    with Store(tmp_path):
        pass
    path = tmp_path / name
    data = path.read_bytes()
    path.write_bytes(data[:4096] + b"\xa5" * (len(data) - 4096))
    with pytest.raises(PipelineError, match=f"^{path}: database disk image is .*; {advice}$"):
        use_both_databases(tmp_path)


def test_a_database_that_refuses_a_change_is_not_called_damaged(tmp_path: Path) -> None:
    with Store(tmp_path):
        pass
    with closing(sqlite3.connect(tmp_path / "listing.sqlite")) as database, database:
        database.execute(
            "CREATE TRIGGER t BEFORE INSERT ON posts BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )
    with pytest.raises(PipelineError, match=r": cannot be written or read: refused; mend that$"):
        use_both_databases(tmp_path)


def use_both_databases(folder: Path) -> None:
    with naming_faults(folder, "; mend that"), Store(folder) as store:
        store.listings.add_page("k", Page((POST,)))
        store.count_failed()
