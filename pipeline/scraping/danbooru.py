"""Client for the post listing of a Danbooru 2 site, newest first: its API in JSON."""

import re
from collections.abc import Iterable, Mapping

from pipeline.scraping.api_parsing import AnswerError, BodyKind, body_kind, json_records
from pipeline.scraping.client import fetch_parsed
from pipeline.scraping.fetch_errors import FetchError
from pipeline.scraping.posts import Page, parse_page
from pipeline.scraping.selection import is_metatag
from pipeline.scraping.session import Session

MAX_PAGE_SIZE = 200
MAX_TAGS = 2
"""Tags of one search for visitors and members, by the site's rules."""

# Metatags that do not count as tags of a search.
_FREE_METATAG = re.compile(
    r"(status|rating|limit|is|id|date|age|filesize|filetype|parent|child|md5|width|height|duration"
    r"|mpixels|ratio|score|upvotes|downvotes|favcount|embedded|tagcount|pixiv_id|pixiv):.*"
)
_RATINGS = {"g": "general", "s": "sensitive", "q": "questionable", "e": "explicit"}
_CATEGORIES = ("artist", "character", "copyright", "meta")
# A whole record has five times the length, mostly addresses of thumbnails.
_FIELDS = (
    "id,image_width,image_height,md5,rating,score,fav_count,parent_id,source,file_url,"
    "tag_string_general,tag_string_artist,tag_string_character,tag_string_copyright,tag_string_meta"
)


class DanbooruClient:
    """Lists the posts that have all of `tags`, none of `excluded_tags`, and at least `min_score`.

    A search of the site takes `MAX_TAGS` tags. Others are not searched for, so that posts may be
    listed that do not fit them. `site` is the address before `/posts.json`. `credentials` are sent
    with requests to the API, and appear in no message.
    """

    def __init__(
        self,
        session: Session,
        site: str,
        tags: tuple[str, ...] = (),
        excluded_tags: tuple[str, ...] = (),
        min_score: int | None = None,
        page_size: int = MAX_PAGE_SIZE,
        credentials: Mapping[str, str] | None = None,
    ) -> None:
        self._session, self._site = session, site
        self._terms, self._left_out = search_terms([*tags, *(f"-{tag}" for tag in excluded_tags)])
        if min_score is not None:
            self._terms.append(f"score:>={min_score}")
        self._page_size = min(page_size, MAX_PAGE_SIZE)
        self._credentials = dict(credentials or {})

    def fetch_page(self, below: int | None = None) -> Page:
        """Return the newest posts with an id less than `below`; an empty page at the end.

        Raises `FetchError` or `SiteError`.
        """
        self._report_left_out_terms()
        # A search that is down may answer with an empty page, so an empty one is asked for twice.
        page = self._session.retry(lambda: self._request(below))
        page = page if page.ids else self._session.retry(lambda: self._request(below))
        older = page if below is None else page.below(below)
        if page.ids and not older.ids:
            problem = f"the search ignores page=b{below}, so its posts cannot be listed"
            raise FetchError(self._site, "answer", problem)
        return older

    def _request(self, below: int | None) -> Page:
        params: dict[str, str | int] = {
            **self._credentials,
            "only": _FIELDS,
            "limit": self._page_size,
            "tags": " ".join(self._terms),
        }
        if below is not None:
            params["page"] = f"b{below}"
        url = f"{self._site}/posts.json"
        return fetch_parsed(self._session, url, params, lambda body: parse_posts(body, self._site))

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
    only_site = [word for word in counted if is_metatag(word.lstrip("-"))]
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


def parse_posts(body: bytes, site: str) -> Page:
    """Parse a response of `/posts.json`.

    Relative file addresses are resolved against `site`. Raises `AnswerError`, with the site's own
    reason where it gives one.
    """
    kind = body_kind(body)
    if kind is not BodyKind.JSON:
        raise AnswerError(f"answered with {kind.value} instead of posts in JSON")
    page = parse_page([_renamed(record) for record in json_records(body)], site)
    if page.nameless and not page.ids:
        raise AnswerError("answered with posts without ids")
    return page


def _renamed(record: object) -> object:
    """Return a record with the names of Gelbooru 0.2."""
    if not isinstance(record, Mapping):
        return record
    categories = {name: _words(record.get(f"tag_string_{name}")) for name in _CATEGORIES}
    general = _words(record.get("tag_string_general"))
    rating = record.get("rating")
    return {
        "id": record.get("id"),
        "width": record.get("image_width"),
        "height": record.get("image_height"),
        "file_url": record.get("file_url"),
        # The site has no address of files that this user may not see.
        "is_hidden": not record.get("file_url"),
        "md5": record.get("md5"),
        "rating": _RATINGS.get(rating, rating) if isinstance(rating, str) else None,
        "tags": general + [tag for tags in categories.values() for tag in tags],
        "tag_categories": categories,
        "source": record.get("source"),
        "parent_id": record.get("parent_id"),
        "score": record.get("score"),
        "favourites": record.get("fav_count"),
    }


def _words(value: object) -> list[str]:
    return value.split() if isinstance(value, str) else []
