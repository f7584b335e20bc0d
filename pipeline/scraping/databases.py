"""The store's two databases: their schemas, and the migration of older ones."""

import hashlib
import os
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import psutil

from pipeline.errors import PipelineError, fault_line

STATE_FILE, LISTING_FILE = "state.sqlite", "listing.sqlite"

_LOCKED_SECONDS = 1.0
"""How long SQLite waits for another program's lock before it says that there is one."""
_MAX_LOCKED_SECONDS = 600.0
_CACHE_KIB = 512
"""Rows are looked up by hashes of addresses, so that a larger cache would not help."""
_LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

T = TypeVar("T")

Values = Mapping[str, object]
"""Values of a statement's named parameters."""

# Entry N migrates a database from layout N to layout N + 1; a new database has layout 0.
STATE_LAYOUTS = (
    """
    CREATE TABLE files (
        key TEXT PRIMARY KEY, post_id INTEGER NOT NULL, post_url TEXT NOT NULL,
        file_url TEXT NOT NULL, announced_md5 TEXT NOT NULL, bytes INTEGER, validator TEXT,
        sha256 TEXT, md5 TEXT, fetched_at TEXT, tries INTEGER NOT NULL DEFAULT 0, failure TEXT
    );
    """,
    """
    ALTER TABLE files ADD COLUMN source TEXT NOT NULL DEFAULT '';
    ALTER TABLE files ADD COLUMN rating TEXT NOT NULL DEFAULT '';
    ALTER TABLE files ADD COLUMN tags TEXT NOT NULL DEFAULT '';
    DELETE FROM files WHERE sha256 IS NULL AND failure IS NULL;
    UPDATE OR REPLACE files SET key = file_key(file_url) WHERE sha256 IS NULL;
    UPDATE OR REPLACE files SET key = file_key(file_url) WHERE sha256 IS NOT NULL;
    """,
    # Files of earlier versions whose md5 differs from the announced one are fetched once more.
    """
    ALTER TABLE files ADD COLUMN asked INTEGER NOT NULL DEFAULT 0;
    UPDATE files SET asked = 2 WHERE announced_md5 NOT IN ('', md5);
    """,
    """
    ALTER TABLE files RENAME COLUMN asked TO mismatch_tries;
    """,
)
LISTING_LAYOUTS = (
    """
    CREATE TABLE listing.listings (
        key TEXT PRIMARY KEY, started_at TEXT NOT NULL, cursor INTEGER,
        finished INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE listing.posts (
        listing TEXT NOT NULL, id INTEGER NOT NULL, record TEXT, PRIMARY KEY (listing, id)
    ) WITHOUT ROWID;
    """,
    """
    ALTER TABLE listing.listings ADD COLUMN short INTEGER NOT NULL DEFAULT 0;
    """,
    # Records may have a score, favourites and tag categories, which earlier versions do not read.
    "",
)


class Database:
    """Both databases as one: schema `main` in `state.sqlite`, schema `listing` in `listing.sqlite`.

    Thread-safe. Where another program locks them, `log` gets its name, and all methods wait.
    Raises `PipelineError` where that lasts too long, where they are damaged, or written by a newer
    version of this program.
    """

    def __init__(
        self, folder: Path, listing: Path, log: Callable[[str], None] = lambda text: None
    ) -> None:
        self._log, self._paths = log, (folder / STATE_FILE, listing)
        self._mutex, self._is_closing = threading.Lock(), threading.Event()
        self._connection = self._when_unlocked(lambda: _connect(folder, listing))

    def close(self) -> None:
        """Close the connection; a method that waits for another program raises."""
        self._is_closing.set()
        with self._mutex:
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection for statements that are committed together."""
        with self._mutex, self._connection:
            # At once, since what was executed cannot be repeated where a later statement waits.
            self._when_unlocked(lambda: self._connection.execute("BEGIN IMMEDIATE"))
            yield self._connection

    def write(self, statement: str, values: Values) -> None:
        """Execute and commit one statement."""
        with self.transaction() as connection:
            connection.execute(statement, values)

    def fetch_one(self, query: str, values: Values) -> sqlite3.Row | None:
        """Return the first row of a query."""
        with self._mutex:
            row: sqlite3.Row | None = self._when_unlocked(
                lambda: self._connection.execute(query, values).fetchone()
            )
        return row

    def fetch_all(self, query: str, values: Values) -> list[sqlite3.Row]:
        """Return all rows of a query."""
        with self._mutex:
            return self._when_unlocked(lambda: self._connection.execute(query, values).fetchall())

    def count(self, query: str, values: Values) -> int:
        """Return the number that a `SELECT count(*)` gives."""
        row = self.fetch_one(query, values)
        assert row is not None
        return int(row[0])

    def _when_unlocked(self, call: Callable[[], T]) -> T:
        """Return the result of `call`, repeated while another program locks the databases."""
        deadline: float | None = None
        while True:
            try:
                return call()
            except sqlite3.OperationalError as error:
                if not _is_locked(error) or self._is_closing.is_set():
                    raise
            now = time.monotonic()
            if deadline is None:
                deadline = now + _MAX_LOCKED_SECONDS
                self._log(f"{self._lock_text()}; waiting until it is closed there")
            elif now > deadline:
                raise PipelineError(
                    f"{self._lock_text()} for {_MAX_LOCKED_SECONDS:.0f} s; close it there, then "
                    "run the same command again (what was fetched is kept)"
                )

    def _lock_text(self) -> str:
        programs = ", ".join(_users(self._paths)) or "another program"
        return f"{self._paths[0]}: is locked by {programs}"


def _is_locked(error: sqlite3.DatabaseError) -> bool:
    return _code(error) in _LOCKED


def is_damage(error: BaseException) -> bool:
    """Return whether SQLite has met damage in a database."""
    return _code(error) in _DAMAGED


def is_damaged(path: Path) -> bool:
    """Return whether SQLite finds damage in the database at `path`."""
    try:
        with closing(sqlite3.connect(path)) as database:
            return bool(database.execute("PRAGMA quick_check(1)").fetchone() != ("ok",))
    except sqlite3.DatabaseError as error:
        return is_damage(error)


def _code(error: BaseException) -> int:
    # The low byte of SQLite's extended codes.
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _users(paths: tuple[Path, ...]) -> Iterator[str]:
    """Yield the other processes that have one of the files open, as far as this user may know."""
    names = {os.path.realpath(path) for path in paths}
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            files = process.open_files() if process.pid != os.getpid() else []
            if any(file.path in names for file in files):
                yield f"{process.name()} (process {process.pid})"


@lru_cache(maxsize=64)
def file_key(url: str) -> str:
    """Return a key for the file at `url`, the same for the spellings of API and web pages."""
    parts = urlsplit(url)
    address = f"{parts.netloc.lower()}{re.sub('/+', '/', parts.path)}"
    return hashlib.sha256(address.encode()).hexdigest()


def _connect(folder: Path, listing: Path) -> sqlite3.Connection:
    state = folder / STATE_FILE
    database = sqlite3.connect(state, timeout=_LOCKED_SECONDS, check_same_thread=False)
    database.row_factory = sqlite3.Row
    try:
        database.create_function("file_key", 1, file_key, deterministic=True)
        database.execute("ATTACH :path AS listing", {"path": str(listing)})
        for schema, path, layouts in (
            ("main", state, STATE_LAYOUTS),
            ("listing", listing, LISTING_LAYOUTS),
        ):
            database.execute(f"PRAGMA {schema}.journal_mode = WAL")
            database.execute(f"PRAGMA {schema}.synchronous = NORMAL")
            database.execute(f"PRAGMA {schema}.cache_size = -{_CACHE_KIB}")
            _migrate(database, schema, path, layouts)
    except sqlite3.DatabaseError as error:
        database.close()
        if _is_locked(error):
            raise
        if fault := fault_line(error):
            raise PipelineError(f"{folder}: {fault}") from None
        raise PipelineError(
            f"{folder}: its databases cannot be used ({error}); move the folder away"
        ) from None
    except PipelineError:
        database.close()
        raise
    return database


def _migrate(
    database: sqlite3.Connection, schema: str, path: Path, layouts: tuple[str, ...]
) -> None:
    (current,) = database.execute(f"PRAGMA {schema}.user_version").fetchone()
    if current > len(layouts):
        raise PipelineError(
            f"{path}: has layout {current}, this program knows {len(layouts)}; "
            f"use the version that wrote it, or move {path.parent} away"
        )
    for layout, changes in enumerate(layouts[current:], current + 1):
        database.executescript(f"BEGIN; {changes} PRAGMA {schema}.user_version = {layout}; COMMIT;")
