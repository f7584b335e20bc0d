"""Client for the post listing of a Danbooru 2 site, newest first: JSON, or web pages."""

import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from pipeline.scraping.client import FORMAT_ERRORS, ask_again, fetch_parsed
from pipeline.scraping.danbooru_pages import listed_ids, parse_view
from pipeline.scraping.danbooru_records import FIELDS, RATINGS, parse_posts
from pipeline.scraping.fetch_errors import FetchError
from pipeline.scraping.posts import Page
from pipeline.scraping.session import Session
from pipeline.scraping.sites import LISTING_FORMATS, ListingFormat
from pipeline.tag_patterns import is_meta_tag

MAX_PAGE_SIZE = 200
MAX_TAGS = 2
"""Tags of one search for visitors and members, by the site's rules."""

T = TypeVar("T")

# Metatags that do not count as tags of a search.
_FREE_METATAG = re.compile(
    r"(status|rating|limit|is|id|date|age|filesize|filetype|parent|child|md5|width|height|duration"
    r"|mpixels|ratio|score|upvotes|downvotes|favcount|embedded|tagcount|pixiv_id|pixiv):.*"
)


class DanbooruClient:
    """Lists the posts that fit all of a search.

    They have all of `tags`, none of `excluded_tags`, one of `ratings` and at least `min_score`. A
    search of the site takes `MAX_TAGS` tags: others are not searched for, so that posts may be
    listed that do not fit them. `site` is the address before `/posts`. Uses the first of `formats`
    that the site does not refuse. `credentials` are sent with requests to the API, and appear in no
    message.
    """

    def __init__(
        self,
        session: Session,
        site: str,
        tags: tuple[str, ...] = (),
        excluded_tags: tuple[str, ...] = (),
        ratings: tuple[str, ...] = tuple(RATINGS.values()),
        min_score: int | None = None,
        page_size: int = MAX_PAGE_SIZE,
        formats: tuple[ListingFormat, ...] = LISTING_FORMATS["danbooru2"],
        credentials: Mapping[str, str] | None = None,
    ) -> None:
        self._session, self._site = session, site
        self._terms, self._left_out = search_terms([*tags, *(f"-{tag}" for tag in excluded_tags)])
        letters = [letter for letter, rating in RATINGS.items() if rating in ratings]
        if len(letters) < len(RATINGS):
            self._terms.append(f"rating:{','.join(letters)}")
        if min_score is not None:
            self._terms.append(f"score:>={min_score}")
        self._page_size = min(page_size, MAX_PAGE_SIZE)
        self._formats = deque(formats)
        self._credentials = dict(credentials or {})
        self._unread_ids: deque[int] = deque()

    def fetch_page(self, below: int | None = None) -> Page:
        """Return the newest posts with an id less than `below`; an empty page at the end.

        From web pages one post is read per call, so that a killed run repeats none of them. Raises
        `FetchError` or `SiteError`.
        """
        if below is not None and below <= 1:
            return Page()
        self._report_left_out_terms()
        while True:
            format = self._formats[0]
            try:
                return self._api_page(below) if format == "json" else self._next_view(below)
            except FetchError as error:
                if error.reason not in FORMAT_ERRORS or len(self._formats) == 1:
                    raise
                self._formats.popleft()
                self._session.log(
                    f"{error}; going on with the listing as {self._formats[0]}, one request per "
                    "post"
                )

    def _api_page(self, below: int | None) -> Page:
        params = {**self._credentials, "only": ",".join(FIELDS), **self._search(below)}

        def request() -> Page:
            return self._get("posts.json", params, lambda body: parse_posts(body, self._site))

        return self._next_page(request, below)

    def _next_page(self, request: Callable[[], Page], below: int | None) -> Page:
        """Return a page with only the records below `below`; an empty one where there are none."""
        page = self._session.retry(request)
        if not page.ids:
            page = ask_again(self._session, self._site, request)
        older = page if below is None else page.below(below)
        if page.ids and not older.ids:
            problem = f"the search ignores page=b{below}, so its posts cannot be listed"
            raise FetchError(self._site, "answer", problem)
        return older

    def _next_view(self, below: int | None) -> Page:
        self._unread_ids = deque(
            post_id for post_id in self._unread_ids if below and post_id < below
        )
        if not self._unread_ids:
            self._unread_ids.extend(self._list_ids(below))
        if not self._unread_ids:
            return Page()
        return self._fetch_view(self._unread_ids.popleft())

    def _list_ids(self, below: int | None) -> list[int]:
        """Return the ids of the next list page, newest first."""
        params = self._search(below)

        def request() -> Page:
            return Page(malformed=tuple(self._get("posts", params, listed_ids)))

        return sorted(set(self._next_page(request, below).ids), reverse=True)

    def _fetch_view(self, post_id: int) -> Page:
        def parse(body: bytes) -> Page:
            return parse_view(body, post_id, self._site)

        try:
            return self._session.retry(lambda: self._get(f"posts/{post_id}", {}, parse))
        except FetchError as error:
            # 451: removed for its artist.
            if error.reason in ("http_404", "http_410", "http_451"):
                return Page(malformed=(post_id,))
            raise

    def _search(self, below: int | None) -> dict[str, str | int]:
        cursor = {} if below is None else {"page": f"b{below}"}
        return {"limit": self._page_size, "tags": " ".join(self._terms), **cursor}

    def _get(self, path: str, params: Mapping[str, str | int], parse: Callable[[bytes], T]) -> T:
        is_api = path.endswith(".json")
        return fetch_parsed(self._session, f"{self._site}/{path}", params, parse, is_api=is_api)

    def _report_left_out_terms(self) -> None:
        if self._left_out:
            self._session.log(
                f"{self._site}: a search takes {MAX_TAGS} tags; not searched for, but looked for "
                f"in each post: {' '.join(self._left_out)}"
            )
            self._left_out = []


def search_terms(words: Iterable[str]) -> tuple[list[str], list[str]]:
    """Divide the words of a search into those that the site is asked for, and the others.

    Words that only the site understands are all among the first. Both keep their order.
    """
    free = [word for word in words if _FREE_METATAG.fullmatch(word.lstrip("-").lower())]
    counted = [word for word in words if word not in free]
    only_site = [word for word in counted if is_meta_tag(word.lstrip("-"))]
    plain = [word for word in counted if word not in only_site]
    places = max(0, MAX_TAGS - len(only_site))
    return [*plain[:places], *only_site, *free], plain[places:]


def credentials(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the `login` and `api_key` of the site's user, as far as they are set.

    They are read from the variables PIPELINE_USER_ID (the user's name) and PIPELINE_API_KEY.
    """
    variables = {"login": "PIPELINE_USER_ID", "api_key": "PIPELINE_API_KEY"}
    values = {name: environment.get(variable, "") for name, variable in variables.items()}
    return {name: value for name, value in values.items() if value}
