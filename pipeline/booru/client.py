"""The post listing of a Gelbooru 0.2 site, newest first, page by page."""

import requests

from pipeline.booru.faults import TransientError, refuse_challenge
from pipeline.booru.posts import AnswerError, Page, parse_posts
from pipeline.booru.session import Session
from pipeline.errors import PipelineError

_MAX_BODY_BYTES = 64 * 2**20


class Client:
    """Lists the posts that have all of `tags` and none of `excluded_tags`.

    `site` is the address in front of `/index.php`.
    """

    def __init__(
        self,
        session: Session,
        site: str,
        tags: tuple[str, ...] = (),
        excluded_tags: tuple[str, ...] = (),
        page_size: int = 1000,
    ) -> None:
        self._session, self._site, self._page_size = session, site.rstrip("/"), page_size
        self._query = [*tags, *(f"-{tag}" for tag in excluded_tags)]

    def page(self, below: int | None = None) -> Page:
        """The newest posts with an id less than `below`; no record at all: there are no more.

        Pages are cut by id because page numbers shift while posts arrive, and end at a depth
        limit. Raises `PipelineError`.
        """
        page = self._session.retry(lambda: self._ask(below))
        if below is None:
            return page
        older = Page(
            tuple(post for post in page.posts if post.id < below),
            tuple(number for number in page.malformed if number < below),
            page.nameless,
        )
        if page.ids and not older.ids:
            raise PipelineError(
                f"{self._site}: the search ignores id:<{below}, so its posts cannot be listed"
            )
        return older

    def _ask(self, below: int | None) -> Page:
        cursor = [] if below is None else [f"id:<{below}"]
        params: dict[str, str | int] = {
            "page": "dapi",
            "s": "post",
            "q": "index",
            "json": 1,
            "limit": self._page_size,
            "tags": " ".join([*self._query, *cursor]),
        }
        url = f"{self._site}/index.php"
        with self._session.get(url, self._session.api, params=params) as response:
            body = self._body(response)
            refuse_challenge(response, body[:4096])
            try:
                page = parse_posts(body, self._site)
            except AnswerError as error:
                raise TransientError(response.url, "answer", str(error)) from None
            if page.nameless and not page.ids:
                raise TransientError(response.url, "answer", "answered with posts without ids")
            return page

    def _body(self, response: requests.Response) -> bytes:
        body = bytearray()
        for chunk in response.iter_content(65536):
            self._session.check_stop()
            body += chunk
            if len(body) > _MAX_BODY_BYTES:
                raise PipelineError(f"{response.url}: answered with more than 64 MiB")
        return bytes(body)
