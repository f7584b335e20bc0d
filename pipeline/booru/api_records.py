"""A picture as a post of a site: its addresses, and its records in the API of Gelbooru 0.2."""

import hashlib
import html
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from pipeline.images.collection import BooruPicture

OWNER = "pipeline"
SAMPLE_WIDTH = 850
THUMBNAIL_SIDE = 150
TAG_KINDS = {
    "original": "copyright",
    **dict.fromkeys(("highres", "absurdres", "lowres", "animated", "greyscale"), "metadata"),
}
"""Kinds of tags that are not general."""

_TAG_TYPES = {"general": 0, "copyright": 3, "metadata": 5}
_POSTS_PER_DIRECTORY = 500


@dataclass(frozen=True)
class ServedPost:
    """One post: a picture with the fields that the site derives from it.

    Paths begin with a slash.
    """

    picture: BooruPicture

    @property
    def id(self) -> int:
        """Id of the post."""
        return self.picture.id

    @property
    def score(self) -> int | None:
        """Votes, derived from the id; None for some posts, as on the site."""
        return None if self.id % 3 == 0 else self.id % 7

    @property
    def favourites(self) -> int:
        """Number of users who have the post among their favourites, derived from the id."""
        return self.id % 5

    @cached_property
    def tags(self) -> frozenset[str]:
        """Tags of the picture."""
        return frozenset(self.picture.tags)

    @property
    def directory(self) -> int:
        """Number of the directory that holds the files."""
        return 1 + self.id // _POSTS_PER_DIRECTORY

    @cached_property
    def stem(self) -> str:
        """40 hex digits that name the files: sha1 of the md5 of the upload address, no checksum."""
        uploaded_from = f"{self.picture.source}?{self.id}".encode()
        md5 = hashlib.md5(uploaded_from, usedforsecurity=False).hexdigest()
        return hashlib.sha1(md5.encode(), usedforsecurity=False).hexdigest()

    @property
    def image(self) -> str:
        """File name of the original."""
        return f"{self.stem}.{self.picture.extension}"

    @property
    def has_sample(self) -> bool:
        """Whether the picture is wide enough for a smaller sample."""
        return self.picture.width > SAMPLE_WIDTH

    @property
    def sample_size(self) -> tuple[int, int]:
        """Width and height of the sample in pixels; those of the picture where it has none."""
        width, height = self.picture.width, self.picture.height
        if not self.has_sample:
            return width, height
        return SAMPLE_WIDTH, max(1, round(height * SAMPLE_WIDTH / width))

    @property
    def preview_size(self) -> tuple[int, int]:
        """Width and height of the thumbnail in pixels."""
        return self.size_within(THUMBNAIL_SIDE)

    def size_within(self, side: int) -> tuple[int, int]:
        """Return width and height in pixels of the picture, shrunk to at most `side`."""
        width, height = self.picture.width, self.picture.height
        shrink = min(1.0, side / max(width, height))
        return max(1, round(width * shrink)), max(1, round(height * shrink))

    @property
    def file_path(self) -> str:
        """Path of the original."""
        return f"/images/{self.directory}/{self.image}"

    @property
    def sample_path(self) -> str:
        """Path of the sample; that of the original where there is none."""
        if not self.has_sample:
            return self.file_path
        return f"/samples/{self.directory}/sample_{self.stem}.jpg"

    @property
    def preview_path(self) -> str:
        """Path of the thumbnail."""
        return f"/thumbnails/{self.directory}/thumbnail_{self.stem}.jpg"

    @property
    def created_at(self) -> datetime:
        """Time of the upload."""
        return datetime.fromtimestamp(self.picture.change, UTC)


@dataclass(frozen=True)
class TagCount:
    """A tag of the site: its id, its name, and the number of posts that have it."""

    id: int
    name: str
    count: int

    @property
    def kind(self) -> str:
        """CSS class in the sidebar: `metadata`, `copyright` or `general`."""
        return TAG_KINDS.get(self.name, "general")

    @property
    def type(self) -> int:
        """Number of the kind in the API."""
        return _TAG_TYPES[self.kind]


def json_body(posts: list[ServedPost], site: str) -> str:
    """Return the API's JSON for `posts`, as PHP writes it; an empty body for no posts.

    `site` is scheme and host, without a slash at the end.
    """
    if not posts:
        return ""
    records = [_json_record(post, site) for post in posts]
    return json.dumps(records, separators=(",", ":")).replace("/", "\\/")


def _json_record(post: ServedPost, site: str) -> dict[str, object]:
    picture = post.picture
    sample_width, sample_height = post.sample_size
    return {
        "preview_url": site + post.preview_path,
        "sample_url": site + post.sample_path,
        "file_url": site + post.file_path,
        "directory": post.directory,
        "hash": picture.md5,
        "width": picture.width,
        "height": picture.height,
        "id": post.id,
        "image": post.image,
        "change": picture.change,
        "owner": OWNER,
        "parent_id": picture.parent_id,
        "rating": picture.rating,
        "sample": post.has_sample,
        "sample_height": sample_height,
        "sample_width": sample_width,
        "score": post.score,
        # The site stores tags escaped for HTML by PHP, and its JSON contains them escaped.
        "tags": html.escape(" ".join(picture.tags)).replace("&#x27;", "&#039;"),
        "source": picture.source,
        "status": "active",
        "has_notes": False,
        "comment_count": 0,
    }


def xml_record(post: ServedPost, site: str) -> dict[str, object]:
    """Return the attributes of the API's `<post/>`, not yet escaped. `site`: see `json_body`."""
    picture = post.picture
    sample_width, sample_height = post.sample_size
    preview_width, preview_height = post.preview_size
    return {
        "height": picture.height,
        "score": "" if post.score is None else post.score,
        "file_url": site + post.file_path,
        "parent_id": picture.parent_id or "",
        "sample_url": site + post.sample_path,
        "sample_width": sample_width,
        "sample_height": sample_height,
        "preview_url": site + post.preview_path,
        "rating": picture.rating[:1],
        "tags": f" {' '.join(picture.tags)} ",
        "id": post.id,
        "width": picture.width,
        "change": picture.change,
        "md5": picture.md5,
        "creator_id": 1,
        "has_children": "false",
        "created_at": f"{post.created_at:%a %b %d %H:%M:%S %z %Y}",
        "status": "active",
        "source": picture.source,
        "has_notes": "false",
        "has_comments": "false",
        "preview_width": preview_width,
        "preview_height": preview_height,
    }
