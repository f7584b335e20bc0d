"""Client for the post listing of a Gelbooru 0.2 site, newest first: JSON, XML or web pages."""

from collections import deque
from collections.abc import Callable, Mapping
from typing import TypeVar

import requests

from pipeline.scraping.api_parsing import AnswerError, parse_posts
from pipeline.scraping.challenges import raise_for_challenge
from pipeline.scraping.fetch_errors import (
    FetchError,
    SiteError,
    TransientError,
    UnreachableError,
    raise_for_missing_key,
)
from pipeline.scraping.html_listing import listed_ids, parse_view
from pipeline.scraping.posts import Page, is_descending, stray_id
from pipeline.scraping.session import Session
from pipeline.scraping.sites import LISTING_FORMATS, ListingFormat

# Of one post's page, whatever else is right; of several in a row the site is at fault.
_ODD_VIEW_ERRORS = frozenset(
    {"answer", "redirects", "off_site", "http_400", "http_403", "http_500"}
)
_MAX_ODD_VIEWS = 3

T = TypeVar("T")

_MAX_BODY_BYTES = 64 * 2**20
FORMAT_ERRORS = frozenset(
    {
        "answer",
        "empty",
        "robots_txt",
        "redirects",
        "off_site",
        "http_400",
        "http_403",
        "http_404",
        "http_410",
        "http_500",
        "http_501",
    }
)
"""Errors after which another format may still work."""


class Client:
    """Lists the posts that have all of `tags` and none of `excluded_tags`.

    `site` is the address before `/index.php`, `api` that of the API where it is another. Uses the
    first of `formats` that the site does not refuse. `credentials` are sent with requests to the
    API, and appear in no message.
    """

    def __init__(
        self,
        session: Session,
        site: str,
        tags: tuple[str, ...] = (),
        excluded_tags: tuple[str, ...] = (),
        page_size: int = 1000,
        formats: tuple[ListingFormat, ...] = LISTING_FORMATS["gelbooru02"],
        credentials: Mapping[str, str] | None = None,
        api: str = "",
    ) -> None:
        self._session, self._site, self._page_size = session, site, page_size
        self._api = api or site
        self._query = [*tags, *(f"-{tag}" for tag in excluded_tags)]
        self._formats = deque(formats)
        self._credentials = dict(credentials or {})
        self._unread_ids: deque[int] = deque()
        self._sorts = False
        self._odd_views = 0

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
                if error.reason not in FORMAT_ERRORS or len(self._formats) == 1:
                    raise
                self._formats.popleft()
                self._session.log(f"{error}; {self._change_of_format()}")

    def _change_of_format(self) -> str:
        if self._formats[0] != "html":
            return f"going on with the listing as {self._formats[0]}"
        seconds = self._session.api_limiter.interval
        return (
            f"going on with the listing as web pages: a request, {seconds:g} s or more, for each "
            "post (scrape.listing: json or xml ends here instead)"
        )

    def _api_page(self, format: ListingFormat, below: int | None) -> Page:
        def request() -> Page:
            return self._get(self._api, self._api_params(format, below), self._parse_posts)

        page = self._next_page(request, below)
        if page.ids or self._is_end(below):
            return page
        return self._next_page(request, below)

    def _next_page(self, request: Callable[[], Page], below: int | None) -> Page:
        """Return a page with only the records below `below`; an empty one where there are none."""
        page = self._session.retry(request)
        if not page.ids:
            page = ask_again(self._session, self._site, request)
        page = self._in_order(request, page)
        older = page if below is None else page.below(below)
        if page.ids and not older.ids:
            problem = f"the search ignores id:<{below}, so its posts cannot be listed"
            raise FetchError(self._site, "answer", problem)
        return older

    def _is_end(self, below: int | None) -> bool:
        """Return whether the web page lists no posts either, or may not be read.

        False where it cannot be read now. Raises `FetchError` where it lists some.
        """
        try:
            ids = self._session.retry(
                lambda: self._get(self._site, self._list_params(below), listed_ids)
            )
        except UnreachableError:
            raise
        except TransientError:
            return False
        except (FetchError, SiteError):
            # Some sites keep web pages from programs that may use the API.
            return True
        if any(below is None or post_id < below for post_id in ids):
            raise FetchError(
                self._api,
                "empty",
                "answers with no posts, though its web page lists some: its search is down",
            )
        return True

    def _in_order(self, request: Callable[[], Page], page: Page) -> Page:
        """Return `page` where it is by id, newest first; else the same page, sorted by the site.

        A single record at a wrong position is left out. Raises `SiteError` where more are: posts
        between two pages would be missed.
        """
        if is_descending(page.order):
            return page
        if not self._sorts:
            self._sorts = True
            again = self._session.retry(request)
            if again.ids and is_descending(again.order):
                return again
            self._sorts = False
        if (stray := stray_id(page.order)) is None:
            raise SiteError(
                self._site,
                "lists posts in another order than that of their ids, also where sort:id:desc is "
                "searched for, so that none can be listed completely; use another site",
            )
        return page.without(stray)

    def _next_view(self, below: int | None) -> Page:
        self._unread_ids = deque(
            post_id for post_id in self._unread_ids if below and post_id < below
        )
        if not self._unread_ids:
            self._unread_ids.extend(self._list_ids(below))
        if not self._unread_ids:
            return Page()
        return self._fetch_view(self._unread_ids.popleft())

    def _fetch_view(self, post_id: int) -> Page:
        params: dict[str, str | int] = {"page": "post", "s": "view", "id": post_id}
        try:
            page = self._session.retry(
                lambda: self._get(
                    self._site, params, lambda body: parse_view(body, post_id, self._site)
                )
            )
        except FetchError as error:
            if error.reason in _ODD_VIEW_ERRORS:
                self._odd_views += 1
            if error.reason not in ("http_404", "http_410") and (
                error.reason not in _ODD_VIEW_ERRORS or self._odd_views > _MAX_ODD_VIEWS
            ):
                raise
            return Page(malformed=(post_id,))
        self._odd_views = 0
        return page

    def _list_ids(self, below: int | None) -> list[int]:
        """Return the ids of the next list page, newest first."""

        def request() -> Page:
            ids = self._get(self._site, self._list_params(below), listed_ids)
            return Page(malformed=tuple(ids), order=tuple(ids))

        return sorted(self._next_page(request, below).ids, reverse=True)

    def _list_params(self, below: int | None) -> dict[str, str | int]:
        return {"page": "post", "s": "list", "tags": self._search_terms(below) or "all"}

    def _api_params(self, format: ListingFormat, below: int | None) -> dict[str, str | int]:
        params: dict[str, str | int] = {"page": "dapi", "s": "post", "q": "index"}
        if format == "json":
            params["json"] = 1
        return params | {
            "limit": self._page_size,
            "tags": self._search_terms(below),
            **self._credentials,
        }

    def _search_terms(self, below: int | None) -> str:
        cursor = [] if below is None else [f"id:<{below}"]
        order = ["sort:id:desc"] if self._sorts else []
        return " ".join([*self._query, *cursor, *order])

    def _parse_posts(self, body: bytes) -> Page:
        page = parse_posts(body, self._site)
        # One odd record after all others must not keep the listing from its end.
        if page.nameless > 1 and not page.ids:
            raise AnswerError("answered with posts without ids")
        return page

    def _get(self, base: str, params: Mapping[str, str | int], parse: Callable[[bytes], T]) -> T:
        is_api = params["page"] == "dapi"
        return fetch_parsed(self._session, f"{base}/index.php", params, parse, is_api=is_api)


def ask_again(session: Session, site: str, request: Callable[[], Page]) -> Page:
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


def fetch_parsed(
    session: Session,
    url: str,
    params: Mapping[str, str | int],
    parse: Callable[[bytes], T],
    *,
    is_api: bool,
) -> T:
    """Request `url` and return its body as `parse` does.

    Raises `TransientError` where `parse` raises `AnswerError`, `KeyRequiredError` where that says
    that the API wants a key, else as `Session.get` does.
    """
    with session.get(url, session.api_limiter, params=params) as response:
        body = _read_body(session, response)
        try:
            return parse(body)
        except AnswerError as error:
            raise_for_challenge(response, body)
            if is_api:
                raise_for_missing_key(response.url, response.status_code, body)
            raise TransientError(response.url, "answer", str(error)) from None


def _read_body(session: Session, response: requests.Response) -> bytes:
    body = bytearray()
    for chunk in session.chunks(response):
        body += chunk
        if len(body) > _MAX_BODY_BYTES:
            raise SiteError(response.url, "answered with more than 64 MiB")
    return bytes(body)


def credentials(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the `api_key` and `user_id` that some sites require, as far as they are set.

    They are read from the variables PIPELINE_API_KEY and PIPELINE_USER_ID.
    """
    variables = {"api_key": "PIPELINE_API_KEY", "user_id": "PIPELINE_USER_ID"}
    values = {name: environment.get(variable, "") for name, variable in variables.items()}
    return {name: value for name, value in values.items() if value}
