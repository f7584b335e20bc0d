"""The store's two databases: their layouts, and bringing those of earlier versions up to date."""

import hashlib
import re
import sqlite3
from pathlib import Path
from urllib.parse import urlsplit

from pipeline.errors import PipelineError, fault_line

# Each entry brings a database from the layout of its index to the next; a new one starts at 0.
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
    # `asked`: how often a whole file came that differs from the announced md5. What earlier
    # versions took so is asked for once more.
    """
    ALTER TABLE files ADD COLUMN asked INTEGER NOT NULL DEFAULT 0;
    UPDATE files SET asked = 2 WHERE announced_md5 NOT IN ('', md5);
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
)


def open_databases(folder: Path, listing: Path) -> sqlite3.Connection:
    """`folder/state.sqlite` as `main`, with the database `listing` beside it under that name.

    The connection may be used from any thread, by one at a time. Raises `PipelineError` where they
    are damaged, or of a layout that this version does not know.
    """
    state = folder / "state.sqlite"
    database = sqlite3.connect(state, check_same_thread=False)
    try:
        database.create_function("file_key", 1, file_key, deterministic=True)
        database.execute("ATTACH ? AS listing", (str(listing),))
        for schema, path, layouts in (
            ("main", state, STATE_LAYOUTS),
            ("listing", listing, LISTING_LAYOUTS),
        ):
            database.execute(f"PRAGMA {schema}.journal_mode = WAL")
            database.execute(f"PRAGMA {schema}.synchronous = NORMAL")
            _migrate(database, schema, path, layouts)
    except sqlite3.DatabaseError as error:
        database.close()
        if fault := fault_line(error):
            raise PipelineError(f"{folder}: {fault}") from None
        raise PipelineError(
            f"{folder}: its databases cannot be used ({error}); move the folder away"
        ) from None
    except PipelineError:
        database.close()
        raise
    return database


def file_key(url: str) -> str:
    """A name for the file at `url`, the same however API and web pages spell the address."""
    parts = urlsplit(url)
    address = f"{parts.netloc.lower()}{re.sub('/+', '/', parts.path)}"
    return hashlib.sha256(address.encode()).hexdigest()


def _migrate(
    database: sqlite3.Connection, schema: str, path: Path, layouts: tuple[str, ...]
) -> None:
    (found,) = database.execute(f"PRAGMA {schema}.user_version").fetchone()
    if found > len(layouts):
        raise PipelineError(
            f"{path}: has layout {found}, this program knows {len(layouts)}; "
            f"use the version that wrote it, or move {path.parent} away"
        )
    for layout, changes in enumerate(layouts[found:], found + 1):
        database.executescript(f"BEGIN; {changes} PRAGMA {schema}.user_version = {layout}; COMMIT;")
