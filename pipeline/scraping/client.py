"""Client for the post listing of a site, newest first: what all forms of sites have in common."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, TypeVar

import requests

from pipeline.scraping.answer_text import as_utf8, without_additions
from pipeline.scraping.api_parsing import AnswerError
from pipeline.scraping.challenges import raise_for_challenge
from pipeline.scraping.fetch_errors import (
    FetchError,
    SiteError,
    TransientError,
    UnreachableError,
)
from pipeline.scraping.posts import Malformed, Page, is_descending, stray_id
from pipeline.scraping.session import Session
from pipeline.scraping.sites import ListingFormat

# Pages of several posts in a row that cannot be read are the site's fault.
_MAX_ODD_VIEWS = 3
# 451: removed for its artist.
_REMOVED = frozenset({"http_404", "http_410", "http_451"})
# No other page would be answered, either.
_SITE_REASONS = frozenset({"robots_txt", "no_robots_txt", "http_429"})

T = TypeVar("T")

_MAX_BODY_BYTES = 64 * 2**20
FORMAT_ERRORS = frozenset(
    {
        "answer",
        "cursor",
        "empty",
        "robots_txt",
        "redirects",
        "off_site",
        "login",
        "http_400",
        "http_403",
        "http_404",
        "http_410",
        "http_500",
        "http_501",
    }
)
"""Errors after which another format may still work."""


@dataclass(frozen=True)
class Query:
    """An address of a site, and the params to request it with."""

    url: str
    params: Mapping[str, str | int] = field(default_factory=dict)


class Client(ABC):
    """Lists the posts of a search.

    `site` is the address of the site, `api` that of its API. Uses the first of `formats` that the
    site does not refuse. `searched_tags` are the required tags that the site is asked for.
    """

    _cursor: ClassVar[str]
    _sort_term: ClassVar[str] = ""

    def __init__(
        self,
        session: Session,
        site: str,
        api: str,
        formats: tuple[ListingFormat, ...],
        searched_tags: tuple[str, ...],
        page_size: int,
        credentials: Mapping[str, str] | None,
    ) -> None:
        self._session, self._site, self._api = session, site, api
        self._page_size, self._credentials = page_size, dict(credentials or {})
        self._formats = deque(formats)
        self._api_formats = [format for format in formats if format != "html"]
        self.searched_tags = searched_tags
        self._unread_ids: deque[int] = deque()
        self._sorts = False
        self._empty_answers, self._has_empty_list = 0, False

    @property
    def doubtful_answers(self) -> int:
        """Number of the last answers, in a row, that had no posts though no web page says so.

        They may be the end of the listing, or a search that is down.
        """
        is_sure = self._has_empty_list or self._formats[0] == "html"
        return 0 if is_sure else self._empty_answers

    @abstractmethod
    def _api_query(self, format: ListingFormat, below: int | None) -> Query:
        """Return the request for the newest posts below an id, by the API."""

    @abstractmethod
    def _list_query(self, below: int | None) -> Query:
        """Return the request for the web page that lists the newest posts below an id."""

    @abstractmethod
    def _view_query(self, post_id: int) -> Query:
        """Return the request for the web page of a post."""

    @abstractmethod
    def _parse_posts(self, body: bytes) -> Page:
        """Return the posts of an answer of the API. Raises `AnswerError`."""

    @abstractmethod
    def _parse_list(self, body: bytes) -> list[int]:
        """Return the ids on a list page, each once, in its order. Raises `AnswerError`."""

    @abstractmethod
    def _parse_view(self, body: bytes, post_id: int) -> Page:
        """Return the post of a web page, or its id as malformed. Raises `AnswerError`."""

    def fetch_page(self, below: int | None = None) -> Page:
        """Return the newest posts with an id less than `below`; an empty page at the end.

        Pages are requested by id, since page numbers shift while posts arrive and have a depth
        limit. From web pages one post is read per call, so that a killed run repeats none of them.
        Raises `FetchError` or `SiteError`.
        """
        if below is not None and below <= 1:
            return Page()
        while True:
            format = self._formats[0]
            try:
                return self._next_view(below) if format == "html" else self._api_page(format, below)
            except FetchError as error:
                formats = self._formats_after(error, below)
                if not formats:
                    raise
                self._formats = deque(formats)
                self._session.log(f"{error}; {self._change_of_format()}")

    def _formats_after(self, error: FetchError, below: int | None) -> list[ListingFormat]:
        """Return the formats that may still work where the first of `_formats` fails."""
        others = list(self._formats)[1:] if error.reason in FORMAT_ERRORS else []
        if error.reason != "robots_txt":
            return others
        queries = {
            format: self._list_query(below) if format == "html" else self._api_query(format, below)
            for format in others
        }
        return [
            format
            for format, query in queries.items()
            if self._session.allows(query.url, query.params)
        ]

    def _change_of_format(self) -> str:
        if self._formats[0] != "html":
            return f"going on with the listing as {self._formats[0]}"
        seconds = self._session.api_limiter.interval
        return (
            f"going on with the listing as web pages: a request, {seconds:g} s or more, for each "
            f"post (scrape.listing: {' or '.join(self._api_formats)} ends here instead)"
        )

    def _api_page(self, format: ListingFormat, below: int | None) -> Page:
        def request() -> Page:
            return self._get(self._api_query(format, below), self._page_of_api, is_api=True)

        page = self._next_page(request, below)
        if page.ids or self._is_end(below):
            return page
        return self._next_page(request, below)

    def _page_of_api(self, body: bytes) -> Page:
        page = self._parse_posts(body)
        # One odd record after all others must not keep the listing from its end.
        if page.nameless > 1 and not page.ids:
            raise AnswerError("answered with posts without ids")
        return page

    def _next_page(self, request: Callable[[], Page], below: int | None) -> Page:
        """Return a page with only the records below `below`; an empty one where there are none."""

        def ask() -> Page:
            page = request()
            self._empty_answers = 0 if page.ids else self._empty_answers + 1
            return page

        page = self._session.retry(ask)
        if not page.ids:
            page = _ask_again(self._session, self._site, ask)
        page = self._in_order(request, page)
        older = page if below is None else page.below(below)
        if page.ids and not older.ids:
            cursor = self._cursor.format(below)
            problem = f"the search ignores {cursor}, so its posts cannot be listed"
            raise FetchError(self._site, "cursor", problem)
        return older

    def _is_end(self, below: int | None) -> bool:
        """Return whether the web page lists no posts either, or may not be read.

        False where it cannot be read now. Raises `FetchError` where it lists some.
        """
        try:
            ids = self._session.retry(lambda: self._get(self._list_query(below), self._parse_list))
        except UnreachableError:
            raise
        except TransientError:
            return False
        except FetchError:
            # Some sites keep web pages from programs that may use the API.
            return True
        if any(below is None or post_id < below for post_id in ids):
            raise FetchError(
                self._api,
                "empty",
                "answers with no posts, though its web page lists some: its search is down",
            )
        self._has_empty_list = True
        return True

    def _in_order(self, request: Callable[[], Page], page: Page) -> Page:
        """Return `page` where it is by id, newest first; else the same page, sorted by the site.

        A single record at a wrong position is left out. Raises `SiteError` where more are: posts
        between two pages would be missed.
        """
        if is_descending(page.order):
            return page
        if self._sort_term and not self._sorts:
            self._sorts = True
            again = self._session.retry(request)
            if again.ids and is_descending(again.order):
                return again
            self._sorts = False
        if (stray := stray_id(page.order)) is None:
            sorted_by = f", also where {self._sort_term} is searched for" if self._sort_term else ""
            raise SiteError(
                self._site,
                f"lists posts in another order than that of their ids{sorted_by}, so that none can "
                "be listed completely; use another site",
            )
        return page.without(stray)

    def _next_view(self, below: int | None) -> Page:
        """Return the next post of the web pages, with the ids above it whose pages are odd.

        These count as malformed only once the site answers for another post, so that a run which a
        fault of the site ends leaves none of them out for the next one.
        """
        odd: list[Malformed] = []
        while (post_id := self._next_id(odd[-1].id if odd else below)) is not None:
            try:
                page = self._fetch_view(post_id)
            except UnreachableError:
                raise
            except FetchError as error:
                odd.append(Malformed(post_id, f"its page cannot be read ({error.reason})"))
                if error.reason in _SITE_REASONS or len(odd) > _MAX_ODD_VIEWS:
                    raise
            else:
                return replace(page, malformed=(*odd, *page.malformed))
        return Page(malformed=tuple(odd))

    def _next_id(self, below: int | None) -> int | None:
        """Return the newest id below `below` on the web pages; None where there is none."""
        self._unread_ids = deque(
            post_id for post_id in self._unread_ids if below and post_id < below
        )
        if not self._unread_ids and (below is None or below > 1):
            self._unread_ids.extend(self._list_ids(below))
        return self._unread_ids.popleft() if self._unread_ids else None

    def _fetch_view(self, post_id: int) -> Page:
        query = self._view_query(post_id)
        try:
            return self._session.retry(
                lambda: self._get(query, lambda body: self._parse_view(body, post_id))
            )
        except FetchError as error:
            if error.reason in _REMOVED:
                gone = Malformed(post_id, f"its page is gone ({error.reason})")
                return Page(malformed=(gone,))
            raise

    def _list_ids(self, below: int | None) -> list[int]:
        """Return the ids of the next list page, newest first."""

        def request() -> Page:
            ids = self._get(self._list_query(below), self._parse_list)
            return Page(malformed=tuple(map(Malformed, ids)), order=tuple(ids))

        return sorted(self._next_page(request, below).ids, reverse=True)

    def _get(self, query: Query, parse: Callable[[bytes], T], *, is_api: bool = False) -> T:
        """Request `query` and return the body of the answer as `parse` does.

        Raises `TransientError` where `parse` raises `AnswerError`, `KeyRequiredError` where that
        says that the API wants a key, else as `Session.get` does.
        """
        limiter = self._session.api_limiter
        with self._session.get(query.url, limiter, params=query.params) as response:
            body = without_additions(_read_body(self._session, response))
            try:
                return parse(body)
            except AnswerError as error:
                raise_for_challenge(response, body)
                if is_api:
                    self._session.raise_for_missing_key(response, body)
                raise TransientError(response.url, "answer", str(error)) from None


def _ask_again(session: Session, site: str, request: Callable[[], Page]) -> Page:
    """Repeat a request that was answered with no posts, as a search that is down answers, too.

    Returns an empty page when the retries are used up.
    """

    def attempt() -> Page:
        page = request()
        if not page.ids:
            raise TransientError(site, "empty", "answered with no posts")
        return page

    session.log(
        f"{site}: answered with no posts; asking again, with growing pauses, in case its search is "
        "down"
    )
    try:
        return session.retry(attempt)
    except TransientError as error:
        if error.reason == "empty":
            return Page()
        raise


def _read_body(session: Session, response: requests.Response) -> bytes:
    """Return a body in UTF-8. Raises `FetchError` for one of more than `_MAX_BODY_BYTES`."""
    body = bytearray()
    for chunk in session.chunks(response):
        body += chunk
        if len(body) > _MAX_BODY_BYTES:
            raise FetchError(response.url, "answer", "answered with more than 64 MiB")
    return as_utf8(bytes(body), response.headers.get("Content-Type", ""))


def credentials(environment: Mapping[str, str], user: str = "user_id") -> dict[str, str]:
    """Return the params that name the user to the API, as far as they are set.

    `api_key` is read from the variable PIPELINE_API_KEY, the one that the site calls `user` from
    PIPELINE_USER_ID.
    """
    variables = {"api_key": "PIPELINE_API_KEY", user: "PIPELINE_USER_ID"}
    values = {name: environment.get(variable, "").strip() for name, variable in variables.items()}
    return {name: value for name, value in values.items() if value}
