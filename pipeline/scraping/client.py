"""Client for the post listing of a Gelbooru 0.2 site, newest first: JSON, XML or web pages."""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Literal, TypeVar

import requests

from pipeline.scraping.api_parsing import AnswerError, parse_posts
from pipeline.scraping.challenges import raise_for_challenge
from pipeline.scraping.fetch_errors import (
    FetchError,
    SiteError,
    TransientError,
    raise_for_missing_key,
)
from pipeline.scraping.html_listing import listed_ids, parse_view
from pipeline.scraping.posts import Page
from pipeline.scraping.session import Session

Form = Literal["json", "xml", "html"]
FORMS: tuple[Form, ...] = ("json", "xml", "html")

T = TypeVar("T")

_MAX_BODY_BYTES = 64 * 2**20
# Errors after which another form may still work.
_FORM_ERRORS = frozenset(
    {
        "answer",
        "robots_txt",
        "redirects",
        "off_site",
        "http_400",
        "http_401",
        "http_403",
        "http_404",
        "http_410",
        "http_500",
        "http_501",
    }
)


class Client:
    """Lists the posts that have all of `tags` and none of `excluded_tags`.

    `site` is the address before `/index.php`. Uses the first of `forms` that the site does not
    refuse. `credentials` are sent with requests to the API, and appear in no message.
    """

    def __init__(
        self,
        session: Session,
        site: str,
        tags: tuple[str, ...] = (),
        excluded_tags: tuple[str, ...] = (),
        page_size: int = 1000,
        forms: tuple[Form, ...] = FORMS,
        credentials: Mapping[str, str] | None = None,
    ) -> None:
        self._session, self._site, self._page_size = session, site, page_size
        self._query = [*tags, *(f"-{tag}" for tag in excluded_tags)]
        self._forms = deque(forms)
        self._credentials = dict(credentials or {})
        self._unread_ids: deque[int] = deque()

    def fetch_page(self, below: int | None = None) -> Page:
        """Return the newest posts with an id less than `below`; an empty page at the end.

        Pages are requested by id, since page numbers shift while posts arrive and have a depth
        limit. From web pages one post is read per call, so that a killed run repeats none of them.
        Raises `FetchError` or `SiteError`.
        """
        while True:
            form = self._forms[0]
            try:
                return self._next_view(below) if form == "html" else self._api_page(form, below)
            except FetchError as error:
                if error.reason not in _FORM_ERRORS or len(self._forms) == 1:
                    raise
                self._forms.popleft()
                self._session.log(f"{error}; going on with the listing as {self._forms[0]}")

    def _api_page(self, form: Form, below: int | None) -> Page:
        def request() -> Page:
            return self._get(self._api_params(form, below), self._parse_posts)

        # A search that is down may answer with an empty page, so an empty one is asked for twice.
        page = self._session.retry(request)
        page = page if page.ids else self._session.retry(request)
        if below is None:
            return page
        older = page.below(below)
        if page.ids and not older.ids:
            raise self._cursor_error(below)
        return older

    def _next_view(self, below: int | None) -> Page:
        self._unread_ids = deque(
            post_id for post_id in self._unread_ids if below and post_id < below
        )
        if not self._unread_ids:
            # A search that is down may answer with an empty page here, too.
            self._unread_ids.extend(self._list_ids(below) or self._list_ids(below))
        if not self._unread_ids:
            return Page()
        return self._fetch_view(self._unread_ids.popleft())

    def _fetch_view(self, post_id: int) -> Page:
        params: dict[str, str | int] = {"page": "post", "s": "view", "id": post_id}
        try:
            return self._session.retry(
                lambda: self._get(params, lambda body: parse_view(body, post_id, self._site))
            )
        except FetchError as error:
            if error.reason in ("http_404", "http_410"):
                return Page(malformed=(post_id,))
            raise

    def _list_ids(self, below: int | None) -> list[int]:
        """Return the ids of the next list page, newest first."""
        tags = self._search_terms(below) or "all"
        params: dict[str, str | int] = {"page": "post", "s": "list", "tags": tags}
        ids = self._session.retry(lambda: self._get(params, listed_ids))
        older = sorted(
            (post_id for post_id in ids if below is None or post_id < below), reverse=True
        )
        if ids and below is not None and not older:
            raise self._cursor_error(below)
        return older

    def _api_params(self, form: Form, below: int | None) -> dict[str, str | int]:
        params: dict[str, str | int] = {"page": "dapi", "s": "post", "q": "index"}
        if form == "json":
            params["json"] = 1
        return params | {
            "limit": self._page_size,
            "tags": self._search_terms(below),
            **self._credentials,
        }

    def _search_terms(self, below: int | None) -> str:
        cursor = [] if below is None else [f"id:<{below}"]
        return " ".join([*self._query, *cursor])

    def _parse_posts(self, body: bytes) -> Page:
        page = parse_posts(body, self._site)
        if page.nameless and not page.ids:
            raise AnswerError("answered with posts without ids")
        return page

    def _get(self, params: Mapping[str, str | int], parse: Callable[[bytes], T]) -> T:
        url = f"{self._site}/index.php"
        with self._session.get(url, self._session.api_limiter, params=params) as response:
            body = self._read_body(response)
            try:
                return parse(body)
            except AnswerError as error:
                raise_for_challenge(response, body)
                raise_for_missing_key(response.url, response.status_code, body)
                raise TransientError(response.url, "answer", str(error)) from None

    def _read_body(self, response: requests.Response) -> bytes:
        body = bytearray()
        for chunk in self._session.chunks(response):
            body += chunk
            if len(body) > _MAX_BODY_BYTES:
                raise SiteError(response.url, "answered with more than 64 MiB")
        return bytes(body)

    def _cursor_error(self, below: int) -> FetchError:
        problem = f"the search ignores id:<{below}, so its posts cannot be listed"
        return FetchError(self._site, "answer", problem)


def credentials(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the `api_key` and `user_id` that some sites require, as far as they are set.

    They are read from the variables PIPELINE_API_KEY and PIPELINE_USER_ID.
    """
    variables = {"api_key": "PIPELINE_API_KEY", "user_id": "PIPELINE_USER_ID"}
    values = {name: environment.get(variable, "") for name, variable in variables.items()}
    return {name: value for name, value in values.items() if value}
