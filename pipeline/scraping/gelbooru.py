"""Client for the post listing of a Gelbooru 0.2 site: JSON, XML or web pages."""

from collections.abc import Mapping

from pipeline.scraping.api_parsing import parse_posts
from pipeline.scraping.client import Client, Query
from pipeline.scraping.html_listing import listed_ids, parse_view
from pipeline.scraping.posts import Page
from pipeline.scraping.session import Session
from pipeline.scraping.sites import LISTING_FORMATS, ListingFormat


class GelbooruClient(Client):
    """Lists the posts that have all of `tags` and none of `excluded_tags`.

    `site` is the address before `/index.php`, `api` that of the API where it is another. Uses the
    first of `formats` that the site does not refuse. `credentials` are sent with requests to the
    API, and appear in no message.
    """

    _cursor = "id:<{}"
    _sort_term = "sort:id:desc"

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
        super().__init__(session, site, api or site, formats, tags, page_size, credentials)
        self._words = [*tags, *(f"-{tag}" for tag in excluded_tags)]

    def _api_query(self, format: ListingFormat, below: int | None) -> Query:
        params: dict[str, str | int] = {"page": "dapi", "s": "post", "q": "index"}
        if format == "json":
            params["json"] = 1
        params |= {
            "limit": self._page_size,
            "tags": self._search_terms(below),
            **self._credentials,
        }
        return Query(f"{self._api}/index.php", params)

    def _list_query(self, below: int | None) -> Query:
        tags = self._search_terms(below) or "all"
        return Query(f"{self._site}/index.php", {"page": "post", "s": "list", "tags": tags})

    def _view_query(self, post_id: int) -> Query:
        return Query(f"{self._site}/index.php", {"page": "post", "s": "view", "id": post_id})

    def _search_terms(self, below: int | None) -> str:
        cursor = [] if below is None else [self._cursor.format(below)]
        order = [self._sort_term] if self._sorts else []
        return " ".join([*self._words, *cursor, *order])

    def _parse_posts(self, body: bytes) -> Page:
        return parse_posts(body, self._site)

    def _parse_list(self, body: bytes) -> list[int]:
        return listed_ids(body)

    def _parse_view(self, body: bytes, post_id: int) -> Page:
        return parse_view(body, post_id, self._site)
