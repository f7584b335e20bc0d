"""Records of originals in `posts.jsonl` and of resized images in `index.jsonl`."""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from pipeline.errors import PipelineError
from pipeline.fields import (
    FileName,
    Finite,
    Index,
    Int64,
    Line,
    Phash,
    Size,
    Tags,
    WebpLength,
    first_problem,
)

POSTS_FILE = "posts.jsonl"
INDEX_FILE = "index.jsonl"

Key = tuple[int, int]
"""Id of a post and number of one of its images, from 0."""

T = TypeVar("T", "Post", "ImageRecord")


@dataclass(frozen=True)
class Post:
    """An original, as in `posts.jsonl`; `sha256` is that of its file, `parent_id` 0 means none.

    `tag_categories` are those of its tags that are not general, by category; None where the site
    told none, and in lists of earlier versions.
    """

    id: Int64
    file: FileName
    sha256: str
    parent_id: Int64
    rating: Line
    tags: Tags
    post_url: Line
    source: Line
    tag_categories: dict[str, Tags] | None = None

    @property
    def key(self) -> Key:
        """Return a unique key, of the same type as an image's."""
        return self.id, 0


@dataclass(frozen=True)
class ImageFacts:
    """What is known of an image, whatever the id of its original and its place in the shards.

    `sha256` is of the image's pixels, `webp_sha256` of its file, `original_sha256` of the
    original's; `scale` and `crop_box` are those of `pipeline.resizing.geometry.Fitted`. The last
    four are measured by `pipeline.images.quality`: those of JPEG are None where the original is
    none, contrast and colourfulness are of the image.
    """

    sha256: str
    phash: Phash
    original_width: Size
    original_height: Size
    original_format: str
    original_sha256: str
    webp_sha256: str
    scale: Finite
    crop_box: tuple[Int64, Int64, Int64, Int64]
    jpeg_quality: Int64 | None
    jpeg_subsampling: str | None
    contrast: Finite
    colourfulness: Finite
    phash_mirrored: Phash | None = field(default=None, kw_only=True)
    """of the mirror image; None in the index of an earlier version"""


@dataclass(frozen=True)
class ImageRecord(ImageFacts):
    """An image in the shards, as in `index.jsonl`: its WebP bytes are at `offset` of `shard`.

    `id` is that of the original's post, `tile` the image's number among those of its original.
    """

    id: Int64
    tile: Index
    shard: FileName
    offset: Index
    length: WebpLength

    @property
    def key(self) -> Key:
        """Return a unique key."""
        return self.id, self.tile

    @property
    def facts(self) -> ImageFacts:
        """Return what depends on neither the original's id nor the shard."""
        return ImageFacts(**{one.name: getattr(self, one.name) for one in fields(ImageFacts)})


POST, IMAGE_RECORD = TypeAdapter(Post), TypeAdapter(ImageRecord)


def read_posts(raw: Path) -> list[Post]:
    """Return the originals in `raw`, by ascending id.

    Raises `PipelineError` with file and line where the list is missing, empty or damaged.
    """
    posts = _read_lines(raw / POSTS_FILE, "scrape", POST)
    if not posts:
        raise PipelineError(
            f"{raw / POSTS_FILE}: holds no post; run pipeline scrape with other params"
        )
    return posts


def read_index(resized: Path) -> list[ImageRecord]:
    """Return the images in the shards of `resized`, by ascending id and tile.

    Raises `PipelineError` with file and line where the index is missing or damaged.
    """
    return _read_lines(resized / INDEX_FILE, "resize", IMAGE_RECORD)


def _read_lines(path: Path, stage: str, adapter: TypeAdapter[T]) -> list[T]:
    again = f"run pipeline {stage} again"
    records: dict[Key, T] = {}
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    record = adapter.validate_json(line)
                except ValidationError as error:
                    raise PipelineError(
                        f"{path}:{number}: not what pipeline {stage} writes "
                        f"({first_problem(error)}); {again}"
                    ) from None
                if record.key in records:
                    raise PipelineError(f"{path}:{number}: id {record.id} a second time; {again}")
                records[record.key] = record
    except FileNotFoundError:
        raise PipelineError(f"{path}: not found; run pipeline {stage} first") from None
    except OSError as error:
        raise PipelineError(f"{path}: cannot be read: {error.strerror}") from None
    return [records[key] for key in sorted(records)]
