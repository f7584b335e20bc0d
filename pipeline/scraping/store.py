"""The store of all fetched files: files by content hash, and SQLite state that survives any kill.

`files/ab/<sha256>` are complete, checked pictures and never written again: other folders hold
links to them. `parts/<key>.part` are unfinished transfers. `state.sqlite` has a row for each file;
`listing.sqlite` holds the posts that each site has listed, and may be removed to list it anew.
"""

import re
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from pipeline.errors import PipelineError
from pipeline.files import path_problem, sha256_of, sync_folder
from pipeline.images.recognition import read_head, readable_format
from pipeline.locks import hold
from pipeline.machine_errors import fault_text
from pipeline.scraping import queries
from pipeline.scraping.databases import (
    LISTING_FILE,
    STATE_FILE,
    Database,
    file_key,
    is_damage,
    is_damaged,
)
from pipeline.scraping.listings import Listings
from pipeline.scraping.posts import Post

_PART = ".part"
_FILE_NAME = re.compile("[0-9a-f]{64}")
# A file whose md5 differs from the announced one is fetched this often before it is believed.
_MAX_MISMATCH_TRIES = 3


@dataclass(frozen=True)
class StoredFile:
    """The row of a post's file.

    `announced_md5` is the site's. `bytes` is the length of the complete file, as far as it is
    known: counted, or announced by the server before. `sha256` and `md5` are None until the
    complete file is in the store. `validator` (ETag or date) makes sure that a resumed transfer is
    of one version. `mismatch_tries` is the number of requests for a file whose md5 differs from
    the announced one, failed ones included.
    """

    announced_md5: str
    bytes: int | None
    validator: str | None
    sha256: str | None
    md5: str | None
    mismatch_tries: int = 0

    def md5_differs(self, post: Post) -> bool:
        """Return whether the file is complete, but has another md5 than announced for `post`."""
        return bool(post.md5) and self.md5 not in (None, post.md5)

    def needs_retry(self, post: Post) -> bool:
        """Return whether the md5 differs, and was not fetched often enough to believe that."""
        return self.md5_differs(post) and self.mismatch_tries < _MAX_MISMATCH_TRIES


class Store:
    """The store in `folder`, locked against other processes while it is open. Thread-safe.

    A context manager. Raises `PipelineError` on entry when another run holds it. `listings` are the
    listings of `listing.sqlite`. `log` gets a message where another program locks a database.
    """

    def __init__(self, folder: Path, log: Callable[[str], None] = lambda text: None) -> None:
        self.folder, self._log = folder, log
        self._files, self._parts = folder / "files", folder / "parts"
        self._files_mutex = threading.Lock()
        self._unsynced: set[Path] = set()
        self.listing_path = folder / LISTING_FILE

    def __enter__(self) -> "Store":
        for path in (self._files, self._parts):
            path.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            stack.enter_context(hold(self.folder / "lock", "pipeline scrape"))
            self._database = stack.enter_context(
                closing(Database(self.folder, self.listing_path, self._log))
            )
            self.listings = Listings(self._database)
            self._recover()
            self._resources = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._resources:
            self._sync_folders()

    def _recover(self) -> None:
        """Finish moves that a kill interrupted; remove parts without a row."""
        for part in self._parts.iterdir():
            row = self._row(part.name.removesuffix(_PART))
            if row is None:
                part.unlink()
            elif row.sha256 is not None:
                final = self.file_path(row.sha256)
                if final.exists() or sha256_of(part) != row.sha256:
                    part.unlink()
                else:
                    self._move(part, final)

    def file_path(self, sha256: str) -> Path:
        """Return the path of the file with this hash, whether or not it exists."""
        return self._files / sha256[:2] / sha256

    def part_path(self, post: Post) -> Path:
        """Return the path of the unfinished transfer of `post`."""
        return self._parts / f"{file_key(post.file_url)}{_PART}"

    def file_paths(self) -> list[Path]:
        """Return the paths of all complete files, sorted; their names are their hashes."""
        paths = self._files.glob("??/*")
        return sorted(path for path in paths if _FILE_NAME.fullmatch(path.name))

    def find(self, post: Post) -> StoredFile | None:
        """Return the row of the file of `post`; it has a hash only if the file exists."""
        row = self._row(file_key(post.file_url))
        # The picture behind an address may have been replaced by another.
        if row is None or (post.md5 and row.announced_md5 not in ("", post.md5)):
            return None
        if row.sha256 is None:
            return row
        with suppress(FileNotFoundError):
            if self.file_path(row.sha256).stat().st_size == row.bytes:
                return row
        return replace(row, validator=None, sha256=None, md5=None, mismatch_tries=0)

    def is_intact(self, sha256: str) -> bool:
        """Return whether the file with this hash still has it; a damaged file is removed.

        Raises `OSError`.
        """
        path = self.file_path(sha256)
        try:
            inode = path.stat().st_ino
            intact = sha256_of(path) == sha256
        except FileNotFoundError:
            return False
        if intact:
            return True
        with self._files_mutex, suppress(FileNotFoundError):
            # Another thread may have replaced it by an intact one meanwhile.
            if path.stat().st_ino == inode:
                path.unlink()
        return False

    def format_of(self, file: StoredFile) -> str | None:
        """Return the format of a complete file, as Pillow names it; None of another.

        Raises `OSError`.
        """
        if file.sha256 is None:
            return None
        return readable_format(read_head(self.file_path(file.sha256)))

    def count_failed(self) -> int:
        """Return the number of files whose last fetch failed."""
        return self._database.count(queries.COUNT_FAILED, {})

    def begin_transfer(
        self, post: Post, post_url: str, length: int | None, validator: str | None
    ) -> None:
        """Record the length and version of a transfer, before its first byte is written."""
        values = {"bytes": length, "validator": validator}
        self._database.write(queries.BEGIN_TRANSFER, _provenance(post, post_url) | values)

    def commit(self, post: Post, sha256: str, md5: str, length: int) -> None:
        """Move the finished, synced part of `post` to the files."""
        key = file_key(post.file_url)
        replaced = self._row(key)
        # State first: should a kill come between, `_recover` moves the part.
        self._database.write(
            queries.COMMIT_FILE,
            {
                "key": key,
                "sha256": sha256,
                "md5": md5,
                "bytes": length,
                "fetched_at": _now(),
                "md5_differs": bool(post.md5) and md5 != post.md5,
            },
        )
        with self._files_mutex:
            self._move(self.part_path(post), self.file_path(sha256))
        if replaced is not None and replaced.sha256 is not None:
            self._remove_unused(replaced.sha256)

    def count_mismatch_try(self, post: Post) -> None:
        """Count a failed request for a file whose md5 differs."""
        self._database.write(queries.COUNT_MISMATCH_TRY, {"key": file_key(post.file_url)})

    def record_failure(self, post: Post, post_url: str, reason: str) -> None:
        """Record that the file of `post` could not be fetched."""
        self._database.write(
            queries.RECORD_FAILURE, _provenance(post, post_url) | {"failure": reason}
        )

    def _remove_unused(self, sha256: str) -> None:
        """Remove a file that belongs to no address any more."""
        if not self._database.count(queries.COUNT_BY_HASH, {"sha256": sha256}):
            self.file_path(sha256).unlink(missing_ok=True)

    def _row(self, key: str) -> StoredFile | None:
        row = self._database.fetch_one(queries.SELECT_FILE, {"key": key})
        return StoredFile(**row) if row else None

    def _move(self, part: Path, final: Path) -> None:
        final.parent.mkdir(exist_ok=True)
        # Raw sets hold links to this file: writing into one would change them all.
        part.chmod(0o444)
        part.replace(final)
        self._unsynced.add(final.parent)

    def _sync_folders(self) -> None:
        """Write the names of new files to the disk.

        Not with each file, which would take longer than its transfer: a file whose name a power cut
        undoes is one that was not fetched.
        """
        for folder in list(self._unsynced):
            with suppress(FileNotFoundError):
                sync_folder(folder)


@contextmanager
def naming_faults(folder: Path, advice: str = "") -> Iterator[None]:
    """Raise `PipelineError` for an error of a file or a database in the block.

    It names the file, or the store's `folder` where the error names none.
    """
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        place = getattr(error, "filename", None) or folder
        problem = path_problem(Path(place)) or (
            f"{place}: cannot be written or read: {fault_text(error)}"
        )
        raise PipelineError(_damage(folder, error) or f"{problem}{advice}") from error


def _damage(folder: Path, error: OSError | sqlite3.Error) -> str | None:
    """Name the damaged database of a store, and what to do; None where `error` is another."""
    if not is_damage(error):
        return None
    listing = folder / LISTING_FILE
    if is_damaged(listing):
        path, advice = listing, "remove it, and it is made again: pipeline clean --remove listing"
    else:
        path, advice = folder / STATE_FILE, f"move {folder} away, and all is fetched again"
    return f"{path}: {error}; {advice}"


def _provenance(post: Post, post_url: str) -> dict[str, object]:
    """Return the columns that say where a file comes from."""
    return {
        "key": file_key(post.file_url),
        "post_id": post.id,
        "post_url": post_url,
        "file_url": post.file_url,
        "announced_md5": post.md5,
        "source": post.source,
        "rating": post.rating,
        "tags": " ".join(post.tags),
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
