"""Everything ever fetched: files by content hash, and SQLite state that survives any kill.

`files/ab/<sha256>` hold whole, checked pictures and are never written again: other folders link
to them. `parts/<key>.part` are transfers under way. `state.sqlite` knows what each file is;
`listing.sqlite` knows what each site listed, and may be removed to list a site anew.
"""

import json
import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from pipeline.files import sha256_of, sync_folder
from pipeline.locks import hold
from pipeline.scraping.databases import file_key, open_databases
from pipeline.scraping.posts import Page, Post

_INSERT = (
    "INSERT INTO files (key, post_id, post_url, file_url, announced_md5, source, rating, tags, "
    "bytes, validator, failure, tries) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (key) DO UPDATE SET post_id = excluded.post_id, post_url = excluded.post_url, "
    "file_url = excluded.file_url, "
    "announced_md5 = coalesce(nullif(excluded.announced_md5, ''), announced_md5), "
    "source = excluded.source, rating = excluded.rating, tags = excluded.tags, "
)
_PART = ".part"
_FILE_NAME = re.compile("[0-9a-f]{64}")
# A file that differs from the announced md5 is asked for so often before that counts.
_MOST_ASKED = 3


@dataclass(frozen=True)
class Listing:
    """How far a listing has come: every post with an id of at least `cursor` is in the store.

    `short`: a run has come to its end without enough pictures, so the next one begins anew.
    """

    started_at: str
    cursor: int | None
    finished: bool
    short: bool = False


@dataclass(frozen=True)
class StoredFile:
    """What is known of a post's file.

    `announced_md5` is the site's word. `bytes` is its length as far as the server told it;
    `sha256` and `md5` are None until the whole file is in the store. `validator` (ETag or date)
    makes sure that a resumed transfer is of one version. `asked` counts how often a whole file
    came that differs from the announced md5.
    """

    announced_md5: str
    bytes: int | None
    validator: str | None
    sha256: str | None
    md5: str | None
    asked: int = 0

    def differs(self, post: Post) -> bool:
        """Whether the file is whole, but has another md5 than is announced for `post`."""
        return bool(post.md5) and self.md5 not in (None, post.md5)

    def is_doubtful(self, post: Post) -> bool:
        """Whether the file differs, and was not asked for often enough to believe that."""
        return self.differs(post) and self.asked < _MOST_ASKED


class Store:
    """The store in `folder`, locked against other processes while it is open.

    Safe to use from any number of threads. Raises `PipelineError` when another run holds it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files, self._parts = folder / "files", folder / "parts"
        self._mutex = threading.Lock()
        self._sound: set[str] = set()
        self.listing_path = folder / "listing.sqlite"

    def __enter__(self) -> "Store":
        for path in (self._files, self._parts):
            path.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            stack.enter_context(hold(self.folder / "lock", "pipeline scrape"))
            self._db = open_databases(self.folder, self.listing_path)
            self._recover()
            self._held = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._mutex:
            self._db.close()
        self._held.close()

    def _recover(self) -> None:
        """Finish moves that a kill cut short; drop parts that nothing is known of."""
        for part in self._parts.iterdir():
            row = self._row(part.name.removesuffix(_PART))
            if row is None:
                part.unlink()
            elif row.sha256 is not None:
                final = self.path(row.sha256)
                if final.exists() or sha256_of(part) != row.sha256:
                    part.unlink()
                else:
                    self._move(part, final)

    # Listings

    def listing(self, key: str) -> Listing:
        """The listing named `key`, begun now if there is none yet."""
        with self._mutex, self._db:
            self._db.execute(
                "INSERT OR IGNORE INTO listing.listings (key, started_at) VALUES (?, ?)",
                (key, _now()),
            )
            started_at, cursor, finished, short = self._db.execute(
                "SELECT started_at, cursor, finished, short FROM listing.listings WHERE key = ?",
                (key,),
            ).fetchone()
        return Listing(started_at, cursor, bool(finished), bool(short))

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

    def note_short(self, key: str) -> None:
        """Note that a listing does not hold enough pictures."""
        self._write("UPDATE listing.listings SET short = 1 WHERE key = ?", (key,))

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
        return self._parts / f"{file_key(post.file_url)}{_PART}"

    def find(self, post: Post) -> StoredFile | None:
        """What is known of the file of `post`; whole only if it is in its place."""
        row = self._row(file_key(post.file_url))
        # The same address may have come to mean another picture.
        if row is None or (post.md5 and row.announced_md5 not in ("", post.md5)):
            return None
        if row.sha256 is None:
            return row
        with suppress(FileNotFoundError):
            if self.path(row.sha256).stat().st_size == row.bytes:
                return row
        return replace(row, validator=None, sha256=None, md5=None, asked=0)

    def is_sound(self, sha256: str) -> bool:
        """Whether the file with this hash still has it; one that was damaged is dropped.

        A file is read once in the life of this object. Raises `OSError`.
        """
        if sha256 in self._sound:
            return True
        path = self.path(sha256)
        try:
            inode = path.stat().st_ino
            sound = sha256_of(path) == sha256
        except FileNotFoundError:
            return False
        if sound:
            self._sound.add(sha256)
            return True
        with self._mutex, suppress(FileNotFoundError):
            # Another thread may have brought the right file meanwhile.
            if path.stat().st_ino == inode:
                path.unlink()
        return False

    def files(self) -> list[Path]:
        """All whole files; their names are their hashes."""
        paths = self._files.glob("??/*")
        return sorted(path for path in paths if _FILE_NAME.fullmatch(path.name))

    def failed(self) -> int:
        """How many files could not be had at their last try."""
        query = "SELECT count(*) FROM files WHERE failure IS NOT NULL"
        with self._mutex:
            (count,) = self._db.execute(query).fetchone()
        return int(count)

    def expect(self, post: Post, post_url: str, length: int | None, validator: str | None) -> None:
        """Note, before its first byte is written, what a transfer should become."""
        self._write(
            f"{_INSERT} bytes = excluded.bytes, validator = excluded.validator, sha256 = NULL, "
            "md5 = NULL, asked = 0",
            (*_provenance(post, post_url), length, validator, None, 0),
        )

    def keep(self, post: Post, sha256: str, md5: str, length: int) -> None:
        """Take the finished, synced part of `post` into the store."""
        key, differs = file_key(post.file_url), bool(post.md5) and md5 != post.md5
        earlier = self._row(key)
        # State first: should a kill come between, `_recover` moves the part.
        self._write(
            "UPDATE files SET sha256 = ?, md5 = ?, bytes = ?, fetched_at = ?, failure = NULL, "
            "tries = tries + 1, asked = CASE WHEN ? THEN asked + 1 ELSE 0 END WHERE key = ?",
            (sha256, md5, length, _now(), differs, key),
        )
        with self._mutex:
            self._move(self.part(post), self.path(sha256))
        self._sound.add(sha256)
        if earlier is not None and earlier.sha256 is not None:
            self._drop_unused(earlier.sha256)

    def note_asked(self, post: Post) -> None:
        """Note that a file that differs was asked for again, in vain."""
        self._write("UPDATE files SET asked = asked + 1 WHERE key = ?", (file_key(post.file_url),))

    def _drop_unused(self, sha256: str) -> None:
        """Remove a file that no address has any more."""
        query = "SELECT count(*) FROM files WHERE sha256 = ?"
        with self._mutex:
            (users,) = self._db.execute(query, (sha256,)).fetchone()
        if not users:
            self.path(sha256).unlink(missing_ok=True)

    def note_failure(self, post: Post, post_url: str, reason: str) -> None:
        """Note that the file of `post` could not be had."""
        self._write(
            f"{_INSERT} failure = excluded.failure, tries = tries + 1",
            (*_provenance(post, post_url), None, None, reason, 1),
        )

    def _write(self, statement: str, values: tuple[object, ...]) -> None:
        with self._mutex, self._db:
            self._db.execute(statement, values)

    def _row(self, key: str) -> StoredFile | None:
        with self._mutex:
            row = self._db.execute(
                "SELECT announced_md5, bytes, validator, sha256, md5, asked FROM files "
                "WHERE key = ?",
                (key,),
            ).fetchone()
        return StoredFile(*row) if row else None

    def _move(self, part: Path, final: Path) -> None:
        final.parent.mkdir(exist_ok=True)
        # Links of this file are handed out: writing into one would change them all.
        part.chmod(0o444)
        part.replace(final)
        sync_folder(final.parent)


def _provenance(post: Post, post_url: str) -> tuple[object, ...]:
    return (
        file_key(post.file_url),
        post.id,
        post_url,
        post.file_url,
        post.md5,
        post.source,
        post.rating,
        " ".join(post.tags),
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _post(record: str | None) -> Post | None:
    if record is None:
        return None
    fields = json.loads(record)
    return Post(**{**fields, "tags": tuple(fields["tags"])})
