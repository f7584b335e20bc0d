"""The listings of the store: which posts a site has listed for a search, and how far."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from pipeline.scraping import queries
from pipeline.scraping.databases import Database
from pipeline.scraping.posts import Page, Post

_MAX_ID = 2**63 - 1


@dataclass(frozen=True)
class Listing:
    """Progress of a listing: every post with an id of at least `cursor` is in the store.

    `finished`: the site has no older posts. `is_short`: a run read all of it without finding enough
    pictures, so the next run begins it anew.
    """

    started_at: str
    cursor: int | None
    finished: bool
    is_short: bool = False


class Listings:
    """The listings of one database, by key. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, key: str) -> Listing:
        """Return the listing named `key`, begun now if there is none yet."""
        started_at = datetime.now(UTC).isoformat(timespec="seconds")
        self._database.write(queries.INSERT_LISTING, {"listing": key, "started_at": started_at})
        row = self._database.fetch_one(queries.SELECT_LISTING, {"listing": key})
        assert row is not None
        started_at, cursor, finished, short = row
        return Listing(started_at, cursor, bool(finished), bool(short))

    def add_page(self, key: str, page: Page) -> None:
        """Add the next page of a listing; a page without records finishes it."""
        records: list[dict[str, object]] = [
            {"listing": key, "id": post.id, "record": json.dumps(asdict(post))}
            for post in page.posts
        ]
        records += [{"listing": key, "id": number, "record": None} for number in page.malformed]
        if not records:
            self._database.write(queries.FINISH_LISTING, {"listing": key})
            return
        with self._database.transaction() as connection:
            connection.executemany(queries.INSERT_POST, records)
            connection.execute(queries.SET_CURSOR, {"listing": key, "cursor": min(page.ids)})

    def mark_short(self, key: str) -> None:
        """Mark a listing as one that does not hold enough pictures."""
        self._database.write(queries.MARK_LISTING_SHORT, {"listing": key})

    def delete(self, key: str) -> None:
        """Delete a listing, so that it is begun anew; the files stay."""
        with self._database.transaction() as connection:
            connection.execute(queries.DELETE_POSTS, {"listing": key})
            connection.execute(queries.DELETE_LISTING, {"listing": key})

    def posts_below(self, key: str, below: int | None, count: int) -> list[tuple[int, Post | None]]:
        """Return ids and posts (None: malformed) of a listing, newest first.

        At most `count` of them, with ids less than `below` if that is not None.
        """
        below = _MAX_ID if below is None else below
        rows = self._database.fetch_all(
            queries.SELECT_POSTS_BELOW, {"listing": key, "below": below, "count": count}
        )
        return [(number, _parse_post(record)) for number, record in rows]

    def posts(self, key: str, ids: Iterable[int]) -> Iterator[Post]:
        """Yield the posts of a listing with these ids, in their order."""
        for number in ids:
            row = self._database.fetch_one(queries.SELECT_POST, {"listing": key, "id": number})
            assert row is not None
            post = _parse_post(row[0])
            assert post is not None
            yield post


def _parse_post(record: str | None) -> Post | None:
    if record is None:
        return None
    fields = json.loads(record)
    return Post(**{**fields, "tags": tuple(fields["tags"])})
