"""Everything ever fetched: files by content hash, and SQLite state that survives any kill.

`files/ab/<sha256>` hold whole, checked pictures and are never written again: other folders link
to them. `parts/<key>` are transfers under way. `state.sqlite` knows what each file is;
`listing.sqlite` knows what each site listed, and may be removed to list a site anew.
"""

import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from filelock import FileLock, Timeout

from pipeline.booru.posts import Page, Post
from pipeline.errors import PipelineError

_VERSION = 1
_SCHEMA = """
CREATE TABLE files (
    key TEXT PRIMARY KEY, post_id INTEGER NOT NULL, post_url TEXT NOT NULL, file_url TEXT NOT NULL,
    announced_md5 TEXT NOT NULL, bytes INTEGER, validator TEXT, sha256 TEXT, md5 TEXT,
    fetched_at TEXT, tries INTEGER NOT NULL DEFAULT 0, failure TEXT
)
"""
_LISTING_SCHEMA = """
CREATE TABLE listing.listings (
    key TEXT PRIMARY KEY, started_at TEXT NOT NULL, cursor INTEGER,
    finished INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE listing.posts (
    listing TEXT NOT NULL, id INTEGER NOT NULL, record TEXT, PRIMARY KEY (listing, id)
) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Listing:
    """How far a listing has come: every post with an id of at least `cursor` is in the store."""

    started_at: str
    cursor: int | None
    finished: bool


@dataclass(frozen=True)
class StoredFile:
    """What is known of a post's file.

    `bytes` is its length as far as the server told it; `sha256` and `md5` are None until the
    whole file is in the store. `validator` makes sure that a resumed transfer is of one version.
    """

    bytes: int | None
    validator: str | None
    sha256: str | None
    md5: str | None


class Store:
    """The store in `folder`, locked against other processes while it is open.

    Safe to use from any number of threads. Raises `PipelineError` when another run holds it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files, self._parts = folder / "files", folder / "parts"
        self._mutex = threading.Lock()
        self.listing_path = folder / "listing.sqlite"

    def __enter__(self) -> "Store":
        for path in (self._files, self._parts):
            path.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(self.folder / "lock", timeout=0)
        try:
            self._lock.acquire()
        except Timeout:
            raise PipelineError(
                f"{self.folder}: another run is using it; wait for its end, or stop it"
            ) from None
        try:
            self._open()
            self._recover()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._mutex:
            self._db.close()
        self._lock.release()

    def _open(self) -> None:
        state = self.folder / "state.sqlite"
        # The mutex keeps threads apart.
        self._db = sqlite3.connect(state, check_same_thread=False)
        try:
            self._db.execute("ATTACH ? AS listing", (str(self.listing_path),))
            for schema, path in (("main", state), ("listing", self.listing_path)):
                self._db.execute(f"PRAGMA {schema}.journal_mode = WAL")
                self._db.execute(f"PRAGMA {schema}.synchronous = NORMAL")
                self._migrate(schema, path)
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise PipelineError(
                f"{self.folder}: its databases cannot be used ({error}); move the folder away"
            ) from None
        except PipelineError:
            self._db.close()
            raise

    def _migrate(self, schema: str, path: Path) -> None:
        (found,) = self._db.execute(f"PRAGMA {schema}.user_version").fetchone()
        if found == 0:
            self._db.executescript(
                f"BEGIN; {_SCHEMA if schema == 'main' else _LISTING_SCHEMA};"
                f"PRAGMA {schema}.user_version = {_VERSION}; COMMIT;"
            )
        elif found != _VERSION:
            raise PipelineError(
                f"{path}: has layout {found}, this program knows {_VERSION}; "
                f"use the version that wrote it, or move {self.folder} away"
            )

    def _recover(self) -> None:
        """Finish moves that a kill cut short; drop parts that nothing is known of."""
        for part in self._parts.iterdir():
            row = self._row(part.name)
            if row is None:
                part.unlink()
            elif row.sha256 is not None:
                final = self.path(row.sha256)
                if final.exists() or _sha256(part) != row.sha256:
                    part.unlink()
                else:
                    self._move(part, final)

    # Listings

    def listing(self, key: str) -> Listing:
        """The listing named `key`, begun now if there is none yet."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with self._mutex, self._db:
            self._db.execute(
                "INSERT OR IGNORE INTO listing.listings (key, started_at) VALUES (?, ?)", (key, now)
            )
            started_at, cursor, finished = self._db.execute(
                "SELECT started_at, cursor, finished FROM listing.listings WHERE key = ?", (key,)
            ).fetchone()
        return Listing(started_at, cursor, bool(finished))

    def add_page(self, key: str, page: Page) -> None:
        """Add the next page of a listing; a page without records ends it."""
        rows: list[tuple[str, int, str | None]] = [
            (key, post.id, json.dumps(asdict(post))) for post in page.posts
        ]
        rows += [(key, number, None) for number in page.malformed]
        with self._mutex, self._db:
            if not rows:
                self._db.execute("UPDATE listing.listings SET finished = 1 WHERE key = ?", (key,))
                return
            self._db.executemany("INSERT OR REPLACE INTO listing.posts VALUES (?, ?, ?)", rows)
            self._db.execute(
                "UPDATE listing.listings SET cursor = ? WHERE key = ?", (min(page.ids), key)
            )

    def forget_listing(self, key: str) -> None:
        """Let the next run list anew; the files stay."""
        with self._mutex, self._db:
            self._db.execute("DELETE FROM listing.posts WHERE listing = ?", (key,))
            self._db.execute("DELETE FROM listing.listings WHERE key = ?", (key,))

    def listed(self, key: str, below: int | None, count: int) -> list[tuple[int, Post | None]]:
        """The newest `count` posts of a listing with ids less than `below`, None: malformed."""
        with self._mutex:
            rows = self._db.execute(
                "SELECT id, record FROM listing.posts WHERE listing = ? AND id < ? "
                "ORDER BY id DESC LIMIT ?",
                (key, 2**63 - 1 if below is None else below, count),
            ).fetchall()
        return [(number, _post(record)) for number, record in rows]

    def posts(self, key: str, ids: Iterable[int]) -> Iterator[Post]:
        """The posts of a listing with these ids, in their order."""
        for number in ids:
            with self._mutex:
                (record,) = self._db.execute(
                    "SELECT record FROM listing.posts WHERE listing = ? AND id = ?", (key, number)
                ).fetchone()
            post = _post(record)
            assert post is not None
            yield post

    # Files

    def path(self, sha256: str) -> Path:
        """Where the file with this hash is, once it is in the store."""
        return self._files / sha256[:2] / sha256

    def part(self, post: Post) -> Path:
        """Where the file of `post` is while it is transferred."""
        return self._parts / _key(post)

    def find(self, post: Post) -> StoredFile | None:
        """What is known of the file of `post`; whole only if it is in its place."""
        row = self._row(_key(post))
        if row is None or row.sha256 is None:
            return row
        with suppress(FileNotFoundError):
            if self.path(row.sha256).stat().st_size == row.bytes:
                return row
        return StoredFile(row.bytes, None, None, None)

    def expect(self, post: Post, post_url: str, length: int | None, validator: str | None) -> None:
        """Note, before its first byte is written, what a transfer should become."""
        self._write(
            "INSERT INTO files (key, post_id, post_url, file_url, announced_md5, bytes, validator) "
            "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET bytes = excluded.bytes, "
            "validator = excluded.validator, sha256 = NULL, md5 = NULL",
            (_key(post), post.id, post_url, post.file_url, post.md5, length, validator),
        )

    def keep(self, post: Post, sha256: str, md5: str, length: int) -> None:
        """Take the finished, synced part of `post` into the store."""
        # State first: should a kill come between, `_recover` moves the part.
        self._write(
            "UPDATE files SET sha256 = ?, md5 = ?, bytes = ?, fetched_at = ?, failure = NULL, "
            "tries = tries + 1 WHERE key = ?",
            (sha256, md5, length, datetime.now(UTC).isoformat(timespec="seconds"), _key(post)),
        )
        self._move(self.part(post), self.path(sha256))

    def note_failure(self, post: Post, post_url: str, reason: str) -> None:
        """Note that the file of `post` could not be had."""
        self._write(
            "INSERT INTO files (key, post_id, post_url, file_url, announced_md5, tries, failure) "
            "VALUES (?, ?, ?, ?, ?, 1, ?) ON CONFLICT (key) DO UPDATE SET "
            "failure = excluded.failure, tries = tries + 1",
            (_key(post), post.id, post_url, post.file_url, post.md5, reason),
        )

    def _write(self, statement: str, values: tuple[object, ...]) -> None:
        with self._mutex, self._db:
            self._db.execute(statement, values)

    def _row(self, key: str) -> StoredFile | None:
        with self._mutex:
            row = self._db.execute(
                "SELECT bytes, validator, sha256, md5 FROM files WHERE key = ?", (key,)
            ).fetchone()
        return StoredFile(*row) if row else None

    def _move(self, part: Path, final: Path) -> None:
        final.parent.mkdir(exist_ok=True)
        # Links of this file are handed out: writing into one would change them all.
        part.chmod(0o444)
        part.replace(final)


def _key(post: Post) -> str:
    """Names a file as the site knows it: the same address may come to mean another picture."""
    return hashlib.sha256(f"{post.file_url}\n{post.md5}".encode()).hexdigest()


def _post(record: str | None) -> Post | None:
    if record is None:
        return None
    fields = json.loads(record)
    return Post(**{**fields, "tags": tuple(fields["tags"])})


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
