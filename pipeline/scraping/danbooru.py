"""Client for the post listing of a Danbooru 2 site: JSON, or web pages."""

import re
from collections.abc import Iterable, Mapping

from pipeline.scraping.client import Client, Query
from pipeline.scraping.danbooru_pages import listed_ids, parse_view
from pipeline.scraping.danbooru_records import FIELDS, RATINGS, parse_posts
from pipeline.scraping.posts import Page
from pipeline.scraping.session import Session
from pipeline.scraping.sites import LISTING_FORMATS, ListingFormat
from pipeline.tag_patterns import is_meta_tag

MAX_PAGE_SIZE = 200
MAX_TAGS = 2
"""Tags of one search for visitors and members, by the site's rules."""

# Metatags that do not count as tags of a search.
_FREE_METATAG = re.compile(
    r"(status|rating|limit|is|id|date|age|filesize|filetype|parent|child|md5|width|height|duration"
    r"|mpixels|ratio|score|upvotes|downvotes|favcount|embedded|tagcount|pixiv_id|pixiv):.*"
)


class DanbooruClient(Client):
    """Lists the posts that fit all of a search.

    They have all of `tags`, none of `excluded_tags`, one of `ratings` and at least `min_score`. A
    search of the site takes `MAX_TAGS` tags: others are not searched for, so that posts may be
    listed that do not fit them. `site` is the address before `/posts`. Uses the first of `formats`
    that the site does not refuse. `credentials` are sent with requests to the API, and appear in no
    message.
    """

    # Pages by it are sorted by id whatever is searched for, and a term for that would count as tag.
    _cursor = "page=b{}"

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
        self._terms, self._left_out = search_terms([*tags, *(f"-{tag}" for tag in excluded_tags)])
        searched_tags = tuple(tag for tag in tags if tag in self._terms)
        most = min(page_size, MAX_PAGE_SIZE)
        super().__init__(session, site, site, formats, searched_tags, most, credentials)
        letters = [letter for letter, rating in RATINGS.items() if rating in ratings]
        if len(letters) < len(RATINGS):
            self._terms.append(f"rating:{','.join(letters)}")
        if min_score is not None:
            self._terms.append(f"score:>={min_score}")

    def fetch_page(self, below: int | None = None) -> Page:
        """As of other sites; says once which tags the site is not asked for."""
        self._report_left_out_terms()
        return super().fetch_page(below)

    def _api_query(self, format: ListingFormat, below: int | None) -> Query:
        params = {**self._credentials, "only": ",".join(FIELDS), **self._search(below)}
        return Query(f"{self._api}/posts.json", params)

    def _list_query(self, below: int | None) -> Query:
        return Query(f"{self._site}/posts", self._search(below))

    def _view_query(self, post_id: int) -> Query:
        return Query(f"{self._site}/posts/{post_id}")

    def _search(self, below: int | None) -> dict[str, str | int]:
        cursor = {} if below is None else {"page": f"b{below}"}
        return {"limit": self._page_size, "tags": " ".join(self._terms), **cursor}

    def _parse_posts(self, body: bytes) -> Page:
        return parse_posts(body, self._site)

    def _parse_list(self, body: bytes) -> list[int]:
        return listed_ids(body)

    def _parse_view(self, body: bytes, post_id: int) -> Page:
        return parse_view(body, post_id, self._site)

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
