"""The lines of `posts.jsonl` and `index.jsonl`: what is known of originals and of images."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pipeline.errors import PipelineError

POSTS_FILE = "posts.jsonl"
INDEX_FILE = "index.jsonl"

Key = tuple[int, int]
"""a post's id and the number of one of its images, from 0"""

T = TypeVar("T", "Post", "Image")


@dataclass(frozen=True)
class Post:
    """What `posts.jsonl` tells of an original; `sha256` is of its file, `parent_id` 0 is none."""

    id: int
    file: str
    sha256: str
    parent_id: int
    rating: str
    tags: tuple[str, ...]
    post_url: str
    source: str

    @property
    def key(self) -> Key:
        """What no other post has, in the form of an image's."""
        return self.id, 0


@dataclass(frozen=True)
class Image:
    """What `index.jsonl` tells of an image in the shards; see `pipeline.manifest.Row`.

    `sha256` is of the image's pixels, `webp_sha256` of its file, `original_sha256` of the
    original's. The last four are those of `pipeline.images.quality`; None where the original is no
    JPEG.
    """

    id: int
    tile: int
    shard: str
    offset: int
    length: int
    sha256: str
    phash: str
    original_width: int
    original_height: int
    original_format: str
    original_sha256: str
    webp_sha256: str
    scale: float
    crop_box: tuple[int, int, int, int]
    jpeg_quality: int | None
    jpeg_subsampling: str | None
    contrast: float
    colourfulness: float

    @property
    def key(self) -> Key:
        """What no other image has."""
        return self.id, self.tile


def read_posts(raw: Path) -> list[Post]:
    """The originals in `raw`, by ascending id.

    Raises `PipelineError` with file and line where the list is missing, empty or damaged.
    """
    posts = _read_lines(raw / POSTS_FILE, "scrape", _post)
    if not posts:
        raise PipelineError(
            f"{raw / POSTS_FILE}: holds no post; run pipeline scrape with other params"
        )
    return posts


def read_index(resized: Path) -> list[Image]:
    """The images in the shards of `resized`, by ascending id and number.

    Raises `PipelineError` with file and line where the index is missing or damaged.
    """
    return _read_lines(resized / INDEX_FILE, "resize", _image)


def _read_lines(path: Path, stage: str, parse: Callable[[Any], T]) -> list[T]:
    again = f"run pipeline {stage} again"
    records: dict[Key, T] = {}
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    record = parse(json.loads(line))
                except (ValueError, KeyError, TypeError, AttributeError):
                    raise PipelineError(
                        f"{path}:{number}: not what pipeline {stage} writes; {again}"
                    ) from None
                if record.key in records:
                    raise PipelineError(f"{path}:{number}: id {record.id} a second time; {again}")
                records[record.key] = record
    except FileNotFoundError:
        raise PipelineError(f"{path}: not found; run pipeline {stage} first") from None
    except OSError as error:
        raise PipelineError(f"{path}: cannot be read: {error.strerror}") from None
    return [records[key] for key in sorted(records)]


def _post(value: dict[str, Any]) -> Post:
    file = str(value["file"])
    if Path(file).name != file:
        raise ValueError(file)
    return Post(
        id=int(value["id"]),
        file=file,
        sha256=str(value["sha256"]),
        parent_id=int(value["parent_id"]),
        rating=str(value["rating"]),
        tags=tuple(str(tag) for tag in value["tags"]),
        post_url=str(value["post_url"]),
        source=str(value["source"]),
    )


def _image(value: dict[str, Any]) -> Image:
    left, top, right, bottom = (int(side) for side in value["crop_box"])
    int(value["phash"], 16)
    return Image(**(value | {"crop_box": (left, top, right, bottom)}))
