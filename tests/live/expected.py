"""What is known of posts and searches of public sites, as data.

None of this was seen by a test here: where this was written there was no network. Each entry says
where its values are from:

- `published`: ids, hashes, sizes and tags stand in the published results of gallery-dl's tests
  (`test/results/danbooru.py`, `test/results/safebooru.py`). A site may have changed tags since.
- `shape`: counts, patterns and ratings that follow from what the site says of itself. They hold for
  any posts, whichever they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pipeline.scraping.sites import SiteForm

Source = Literal["published", "shape"]


@dataclass(frozen=True)
class LivePost:
    """One post: `fields` are attributes of `Post`, `tags` some of its tags, `sha1` of its file."""

    source: Source
    site: str
    form: SiteForm
    id: int
    fields: Mapping[str, object] = field(default_factory=dict)
    tags: frozenset[str] = frozenset()
    sha1: str = ""


@dataclass(frozen=True)
class LiveSearch:
    """A search: its first page has `least` posts or more, all with `ratings` and such addresses."""

    source: Source
    site: str
    form: SiteForm
    tags: tuple[str, ...]
    least: int
    file_url: str
    ratings: frozenset[str] = frozenset()


POSTS = (
    LivePost(
        "published",
        "https://safebooru.org",
        "gelbooru02",
        1169132,
        tags=frozenset({"kawanakajima", "heath_ledger", "dc_comics"}),
        sha1="93b293b27dabd198afafabbaf87c49863ac82f27",
    ),
    LivePost(
        "published",
        "https://danbooru.donmai.us",
        "danbooru2",
        294929,
        fields={
            "width": 895,
            "height": 687,
            "md5": "ac8e3b92ea328ce9cf7211e69c905bf9",
            "rating": "sensitive",
            "parent_id": 0,
        },
        tags=frozenset({"bonocho", "dc_comics", "heath_ledger"}),
        sha1="5e255713cbf0a8e0801dc423563c34d896bb9229",
    ),
)
SEARCHES = (
    LiveSearch(
        "published",
        "https://danbooru.donmai.us",
        "danbooru2",
        ("mushishi",),
        200,
        r"https://cdn\.donmai\.us/original/[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{32}\.[a-z0-9]+|",
    ),
    LiveSearch(
        "shape",
        "https://safebooru.donmai.us",
        "danbooru2",
        ("solo",),
        200,
        r"https://cdn\.donmai\.us/original/[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{32}\.[a-z0-9]+|",
        frozenset({"general"}),
    ),
    LiveSearch(
        "shape",
        "https://safebooru.org",
        "gelbooru02",
        ("solo",),
        500,
        r"https://([a-z0-9]+\.)?safebooru\.org/+images/[0-9]+/[0-9a-f]+\.[a-z0-9]+",
    ),
)
