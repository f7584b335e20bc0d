"""A picture as a Gelbooru 0.2 site shows it: names, addresses, and the records of its API."""

import hashlib
import html
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from pipeline.images.collection import Picture

OWNER = "pipeline"
SAMPLE_WIDTH = 850
THUMBNAIL_SIDE = 150
_METADATA_TAGS = frozenset({"highres", "absurdres", "lowres", "animated", "greyscale"})
_TAG_TYPES = {"general": 0, "metadata": 5}
_POSTS_A_DIRECTORY = 500


@dataclass(frozen=True)
class ServedPost:
    """One post: a picture and what the site makes of it."""

    picture: Picture

    @property
    def id(self) -> int:
        return self.picture.id

    @property
    def score(self) -> int | None:
        """Votes, made up from the id; unknown for some posts, as on the site."""
        return None if self.id % 3 == 0 else self.id % 7

    @cached_property
    def tags(self) -> frozenset[str]:
        return frozenset(self.picture.tags)

    @property
    def directory(self) -> int:
        return 1 + self.id // _POSTS_A_DIRECTORY

    @cached_property
    def stem(self) -> str:
        """40 hex digits, the sha1 of the md5 of the address it was uploaded from: no checksum."""
        uploaded_from = f"{self.picture.source}?{self.id}".encode()
        md5 = hashlib.md5(uploaded_from, usedforsecurity=False).hexdigest()
        return hashlib.sha1(md5.encode(), usedforsecurity=False).hexdigest()

    @property
    def image(self) -> str:
        return f"{self.stem}.{self.picture.extension}"

    @property
    def has_sample(self) -> bool:
        return self.picture.width > SAMPLE_WIDTH

    @property
    def sample_size(self) -> tuple[int, int]:
        """Width and height, pixels; those of the picture where it needs no sample."""
        width, height = self.picture.width, self.picture.height
        if not self.has_sample:
            return width, height
        return SAMPLE_WIDTH, max(1, round(height * SAMPLE_WIDTH / width))

    @property
    def preview_size(self) -> tuple[int, int]:
        """Width and height of the thumbnail, pixels."""
        width, height = self.picture.width, self.picture.height
        shrink = min(1.0, THUMBNAIL_SIDE / max(width, height))
        return max(1, round(width * shrink)), max(1, round(height * shrink))

    @property
    def file_path(self) -> str:
        return f"/images/{self.directory}/{self.image}"

    @property
    def sample_path(self) -> str:
        if not self.has_sample:
            return self.file_path
        return f"/samples/{self.directory}/sample_{self.stem}.jpg"

    @property
    def preview_path(self) -> str:
        return f"/thumbnails/{self.directory}/thumbnail_{self.stem}.jpg"

    @property
    def created_at(self) -> datetime:
        return datetime.fromtimestamp(self.picture.change, UTC)


@dataclass(frozen=True)
class TagCount:
    """A tag of the site: its number, its name, and how many posts have it."""

    id: int
    name: str
    count: int

    @property
    def kind(self) -> str:
        """Its class in the sidebar: `metadata` or `general`."""
        return "metadata" if self.name in _METADATA_TAGS else "general"

    @property
    def type(self) -> int:
        """Its type in the API."""
        return _TAG_TYPES[self.kind]


def json_body(posts: list[ServedPost], site: str) -> str:
    """The API's JSON for `posts`, as PHP writes it; nothing at all for no posts.

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
        # The site stores tags escaped for HTML, by PHP, and its JSON hands them out like that.
        "tags": html.escape(" ".join(picture.tags)).replace("&#x27;", "&#039;"),
        "source": picture.source,
        "status": "active",
        "has_notes": False,
        "comment_count": 0,
    }


def xml_record(post: ServedPost, site: str) -> dict[str, object]:
    """The attributes of the API's `<post/>`, not yet escaped. `site`: see `json_body`."""
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
