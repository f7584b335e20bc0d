"""The posts of one listing in order, read from the store and extended from the site."""

from collections import deque
from dataclasses import replace

from pipeline.errors import UsageError
from pipeline.scraping.client import Client
from pipeline.scraping.listings import Listing
from pipeline.scraping.posts import Malformed, Post
from pipeline.scraping.store import Store

READ_AHEAD = 500
"""Posts that are read from the store at once."""


class ListingReader:
    """Reads the listing `key` of `site` in `store`, newest post first.

    With `extendable` the site may be asked for more posts; a listing in which an earlier run did
    not find enough pictures is then begun anew, since the site may have newer ones by now, and with
    `refresh` any. The listing begins with the newest post, or with the id `until`. Raises
    `UsageError` where the listing is empty and may not be extended.
    """

    def __init__(
        self,
        store: Store,
        site: str,
        key: str,
        *,
        extendable: bool,
        refresh: bool = False,
        until: int | None = None,
    ) -> None:
        self.key = key
        self._above_first = None if until is None else until + 1
        self._store, self._extendable, self._refresh = store, extendable, refresh
        self._listing = self._open(site)
        self._buffer: deque[Post | Malformed] = deque()
        self._position: int | None = None

    def _open(self, site: str) -> Listing:
        listing = self._store.listings.get(self.key)
        self._is_anew = self._extendable and (self._refresh or listing.is_short)
        if self._is_anew:
            # The earlier one is replaced once the site has answered.
            return Listing(listing.started_at, None, finished=False)
        if listing.cursor is None and not self._extendable:
            raise UsageError(
                f"{self._store.folder}: no posts of {site} with these tags are known yet; "
                "run pipeline scrape without --retry-failed"
            )
        return listing

    @property
    def resumed_from(self) -> str | None:
        """When an earlier run began this listing (ISO 8601); None for a new listing."""
        return None if self._listing.cursor is None else self._listing.started_at

    @property
    def buffered(self) -> int:
        """Number of posts that `pop` returns without reading the store."""
        return len(self._buffer)

    def has_next(self) -> bool:
        """Return whether a post is listed that was not read yet."""
        if not self._buffer and self._position != self._listing.cursor:
            records = self._store.listings.posts_below(self.key, self._position, READ_AHEAD)
            self._buffer.extend(records)
            self._position = records[-1].id
        return bool(self._buffer)

    def pop(self) -> Post | Malformed:
        """Return the next post, or the malformed record in its place."""
        return self._buffer.popleft()

    def can_extend(self) -> bool:
        """Return whether all of the listing is read, and the site may have more."""
        all_read = self._position == self._listing.cursor
        return self._extendable and all_read and not self._listing.finished

    def fetch_page(self, client: Client) -> None:
        """Add the next page of the site to the store; callable from any thread.

        `reload` makes it visible here. Raises `FetchError` or `SiteError`.
        """
        cursor = self._listing.cursor
        below = self._above_first if cursor is None else cursor
        page = client.fetch_page(below)
        if self._is_anew and not page.ids:
            self._listing = replace(self._listing, finished=True)
            return
        self._store.listings.add_page(self.key, page, anew=self._is_anew)
        self._is_anew = False

    def reload(self) -> None:
        """Take note of a page that `fetch_page` has added."""
        if not self._is_anew:
            self._listing = self._store.listings.get(self.key)
