"""The listings of the store: which posts a site has listed for a search, and how far."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from pydantic import ValidationError

from pipeline.fields import first_problem
from pipeline.scraping import queries
from pipeline.scraping.databases import Database
from pipeline.scraping.posts import MAX_ID, POST, Malformed, Page, Post


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
        self._database.write(queries.INSERT_LISTING, _begun_now(key))
        row = self._database.fetch_one(queries.SELECT_LISTING, {"listing_key": key})
        assert row is not None
        return Listing(row["started_at"], row["cursor"], bool(row["finished"]), bool(row["short"]))

    def add_page(self, key: str, page: Page, *, anew: bool = False) -> None:
        """Add the next page of a listing; a page without records finishes it.

        `anew`: in place of all that it has.
        """
        rows: Iterator[dict[str, object]] = (
            {"listing_key": key, "id": post.id, "record": _record(post)} for post in page.records
        )
        with self._database.transaction() as connection:
            if anew:
                connection.execute(queries.DELETE_POSTS, {"listing_key": key})
                connection.execute(queries.DELETE_LISTING, {"listing_key": key})
                connection.execute(queries.INSERT_LISTING, _begun_now(key))
            if not page.ids:
                connection.execute(queries.FINISH_LISTING, {"listing_key": key})
                return
            connection.executemany(queries.INSERT_POST, rows)
            connection.execute(queries.SET_CURSOR, {"listing_key": key, "cursor": min(page.ids)})

    def mark_short(self, key: str) -> None:
        """Mark a listing as one that does not hold enough pictures."""
        self._database.write(queries.MARK_LISTING_SHORT, {"listing_key": key})

    def posts_below(self, key: str, below: int | None, count: int) -> list[Post | Malformed]:
        """Return the posts of a listing, newest first.

        At most `count` of them, with ids less than `below` if that is not None.
        """
        highest = MAX_ID if below is None else below - 1
        rows = self._database.fetch_all(
            queries.SELECT_POSTS_BELOW, {"listing_key": key, "highest": highest, "count": count}
        )
        return [_parse_post(post_id, record) for post_id, record in rows]

    def posts(self, key: str, ids: Iterable[int]) -> Iterator[Post]:
        """Yield the posts of a listing with these ids, in their order."""
        for post_id in ids:
            row = self._database.fetch_one(queries.SELECT_POST, {"listing_key": key, "id": post_id})
            assert row is not None
            post = _parse_post(post_id, row["record"])
            assert isinstance(post, Post)
            yield post


def _begun_now(key: str) -> dict[str, object]:
    return {"listing_key": key, "started_at": datetime.now(UTC).isoformat(timespec="seconds")}


def _record(post: Post | Malformed) -> str:
    """Return the JSON of a post, or of the fault of a record that is none."""
    return json.dumps(asdict(post) if isinstance(post, Post) else post.fault)


def _parse_post(post_id: int, record: str | None) -> Post | Malformed:
    # Earlier versions kept no fault.
    value = "" if record is None else json.loads(record)
    if isinstance(value, str):
        return Malformed(post_id, value)
    try:
        return POST.validate_python(value)
    except ValidationError as error:
        # Earlier versions had no bounds.
        return Malformed(post_id, first_problem(error))
