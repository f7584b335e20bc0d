"""The post listing of a Gelbooru 0.2 site, newest first, in whichever form the site gives it."""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Literal, TypeVar

import requests

from pipeline.scraping.api_parsing import AnswerError, parse_posts
from pipeline.scraping.fetch_errors import (
    FetchError,
    SiteError,
    TransientError,
    raise_for_challenge,
)
from pipeline.scraping.html_listing import listed_ids, parse_view
from pipeline.scraping.posts import Page
from pipeline.scraping.session import Session

Form = Literal["json", "xml", "html"]
FORMS: tuple[Form, ...] = ("json", "xml", "html")

T = TypeVar("T")

_MAX_BODY_BYTES = 64 * 2**20
# The form is refused, not the connection or the moment: another form may be had.
_FORM_REFUSED = frozenset(
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

    `site` is the address in front of `/index.php`. Of `forms`, the first that the site does not
    refuse is used. `credentials` are sent with requests to the API, and told to nobody.
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
        self._session, self._site, self._page_size = session, site.rstrip("/"), page_size
        self._query = [*tags, *(f"-{tag}" for tag in excluded_tags)]
        self._forms = deque(forms)
        self._credentials = dict(credentials or {})
        self._unseen: deque[int] = deque()

    def page(self, below: int | None = None) -> Page:
        """The newest posts with an id less than `below`; no record at all: there are no more.

        Pages are cut by id because page numbers shift while posts arrive, and end at a depth
        limit. Web pages are read post by post, so that a killed run has none to read again.
        Raises `FetchError` or `SiteError`.
        """
        while True:
            form = self._forms[0]
            try:
                return self._web_page(below) if form == "html" else self._api_page(form, below)
            except FetchError as error:
                if error.reason not in _FORM_REFUSED or len(self._forms) == 1:
                    raise
                self._forms.popleft()
                self._session.log(f"{error}; going on with the listing as {self._forms[0]}")

    def _api_page(self, form: Form, below: int | None) -> Page:
        def ask() -> Page:
            return self._get(self._api_params(form, below), self._parse_posts)

        # A search that is down may answer with nothing: an end is believed when told twice.
        page = self._session.retry(ask)
        page = page if page.ids else self._session.retry(ask)
        if below is None:
            return page
        older = page.below(below)
        if page.ids and not older.ids:
            raise self._ignored(below)
        return older

    def _web_page(self, below: int | None) -> Page:
        self._unseen = deque(number for number in self._unseen if below and number < below)
        if not self._unseen:
            self._unseen.extend(self._list(below) or self._list(below))
        if not self._unseen:
            return Page()
        return self._view(self._unseen.popleft())

    def _view(self, number: int) -> Page:
        params: dict[str, str | int] = {"page": "post", "s": "view", "id": number}
        try:
            return self._session.retry(
                lambda: self._get(params, lambda body: parse_view(body, number, self._site))
            )
        except FetchError as error:
            if error.reason in ("http_404", "http_410"):
                return Page(malformed=(number,))
            raise

    def _list(self, below: int | None) -> list[int]:
        """Ids of the next list page, newest first."""
        tags = self._tags(below) or "all"
        params: dict[str, str | int] = {"page": "post", "s": "list", "tags": tags}
        ids = self._session.retry(lambda: self._get(params, listed_ids))
        older = sorted((number for number in ids if below is None or number < below), reverse=True)
        if ids and below is not None and not older:
            raise self._ignored(below)
        return older

    def _api_params(self, form: Form, below: int | None) -> dict[str, str | int]:
        params: dict[str, str | int] = {"page": "dapi", "s": "post", "q": "index"}
        if form == "json":
            params["json"] = 1
        return params | {
            "limit": self._page_size,
            "tags": self._tags(below),
            **self._credentials,
        }

    def _tags(self, below: int | None) -> str:
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
            body = self._body(response)
            raise_for_challenge(response, body[:4096])
            try:
                return parse(body)
            except AnswerError as error:
                raise TransientError(response.url, "answer", str(error)) from None

    def _body(self, response: requests.Response) -> bytes:
        body = bytearray()
        for chunk in response.iter_content(65536):
            self._session.check_stop()
            body += chunk
            if len(body) > _MAX_BODY_BYTES:
                raise SiteError(response.url, "answered with more than 64 MiB")
        return bytes(body)

    def _ignored(self, below: int) -> FetchError:
        problem = f"the search ignores id:<{below}, so its posts cannot be listed"
        return FetchError(self._site, "answer", problem)


def credentials(environment: Mapping[str, str]) -> dict[str, str]:
    """The `api_key` and `user_id` that some sites want; empty where nobody set them.

    They come from the variables PIPELINE_API_KEY and PIPELINE_USER_ID.
    """
    names = {"api_key": "PIPELINE_API_KEY", "user_id": "PIPELINE_USER_ID"}
    found = {name: environment.get(variable, "") for name, variable in names.items()}
    return {name: value for name, value in found.items() if value}
