"""Choosing the images of the manifest: no picture twice, and none on two sides of a split."""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.files import write_text
from pipeline.images.duplicates import Duplicates, find_duplicates
from pipeline.images.records import INDEX_FILE, POSTS_FILE, Image, Post, read_index, read_posts
from pipeline.manifest import Row, write_manifest
from pipeline.params import ManifestParams
from pipeline.progress import Progress, Silent


@dataclass(frozen=True)
class ManifestReport:
    """How many images each split has, and how many pictures each gate took."""

    rows: int
    train: int
    val: int
    test: int
    refused: int
    exact_duplicates: int
    near_duplicates: int
    over_count: int


def build_manifest(
    params: ManifestParams,
    raw: Path,
    resized: Path,
    manifest: Path,
    report: Path,
    progress: Progress = Silent(),  # noqa: B008
) -> ManifestReport:
    """Choose the images, give each its split, and write `manifest` and `report`.

    A picture's split depends on the seed, the fractions and its group alone. A group is what one
    chain of parents ends at, named by the id of that end (which need not have been scraped), and
    groups with near or exact duplicates of each other are one, named by the lowest of those ids.
    So adding pictures moves none from one split to another, unless they link its group to one of a
    lower id.

    Raises `PipelineError` where the stages before have not run or do not fit together, where fewer
    rows are left than the params allow, or where a wanted split is empty.
    """
    posts = {post.id: post for post in read_posts(raw)}
    images = read_index(resized)
    for image in images:
        if image.id not in posts:
            raise PipelineError(
                f"{resized / INDEX_FILE}: id {image.id} is not in {raw / POSTS_FILE}; "
                "run pipeline resize again"
            )
    ends = [_chain_end(posts, image.id) for image in images]
    twice = find_duplicates(images, ends, params.phash_distance, progress)
    left = [image for image in images if image.id not in twice.exact | twice.near]
    chosen = _choose(left, params)
    rows = [
        _join(image, posts[image.id], _split(params, twice.groups[image.id])) for image in chosen
    ]
    result = _count(rows, len(posts) - len(images), twice, len(left) - len(rows))
    write_text(report, json.dumps(vars(result), indent=2) + "\n")
    _judge(params, result, progress)
    write_manifest(manifest, rows)
    return result


def _chain_end(posts: dict[int, Post], id: int) -> int:
    """The last id that the chain of parents from `id` names; of a circle, its lowest."""
    chain = [id]
    while chain[-1] in posts and (parent := posts[chain[-1]].parent_id):
        if parent in chain:
            return min(chain[chain.index(parent) :])
        chain.append(parent)
    return chain[-1]


def _choose(images: Sequence[Image], params: ManifestParams) -> list[Image]:
    """At most `params.count` of the images, by ascending id."""
    drawn = sorted(images, key=lambda image: _draw(params.seed, "choice", image.id))
    return sorted(drawn[: params.count], key=lambda image: image.id)


def _split(params: ManifestParams, group: int) -> str:
    # val grows from one end and test from the other: changing one fraction leaves the other split.
    drawn = _draw(params.seed, "split", group)
    if drawn < params.val_fraction:
        return "val"
    return "test" if drawn >= 1 - params.test_fraction else "train"


def _draw(seed: int, purpose: str, key: int) -> float:
    """A number in [0, 1) that is the same on every machine and in every run."""
    digest = hashlib.sha256(f"{seed}:{purpose}:{key}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def _join(image: Image, post: Post, split: str) -> Row:
    return Row(
        **vars(image),
        split=split,
        rating=post.rating,
        tags=post.tags,
        post_url=post.post_url,
        source=post.source,
    )


def _count(rows: Sequence[Row], refused: int, twice: Duplicates, over_count: int) -> ManifestReport:
    splits = Counter(row.split for row in rows)
    return ManifestReport(
        rows=len(rows),
        train=splits["train"],
        val=splits["val"],
        test=splits["test"],
        refused=refused,
        exact_duplicates=len(twice.exact),
        near_duplicates=len(twice.near),
        over_count=over_count,
    )


def _judge(params: ManifestParams, result: ManifestReport, progress: Progress) -> None:
    lost = result.refused + result.exact_duplicates + result.near_duplicates
    losses = (
        f"of {result.rows + lost + result.over_count} posts, resize refused {result.refused}, "
        f"{result.exact_duplicates} were exact duplicates and {result.near_duplicates} near ones"
    )
    if result.rows < min(params.min_count, params.count):
        raise PipelineError(
            f"manifest.min_count: {result.rows} images are left, "
            f"{min(params.min_count, params.count)} are needed ({losses}); "
            "raise scrape.limit or lower manifest.min_count"
        )
    for split in ("val", "test"):
        name = f"{split}_fraction"
        if getattr(params, name) and not getattr(result, split):
            raise PipelineError(
                f"manifest.{name}: {getattr(params, name)} of {result.rows} images left the "
                f"{split} split empty; raise it, or set it to 0"
            )
    if not result.train:
        raise PipelineError(
            f"manifest: all {result.rows} images are in val and test; lower "
            "manifest.val_fraction or manifest.test_fraction"
        )
    if result.rows < params.count:
        progress.message(
            f"warning: {params.count - result.rows} images fewer than manifest.count "
            f"{params.count}: {losses}"
        )
