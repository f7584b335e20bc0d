"""Choosing the images of the manifest: no picture twice, and none on two sides of a split."""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.files import write_text
from pipeline.images.records import (
    INDEX_FILE,
    POSTS_FILE,
    Image,
    Key,
    Post,
    read_index,
    read_posts,
)
from pipeline.manifest.duplicates import find_duplicates
from pipeline.manifest.rows import HEADER, SPLITS, Row, Split, write_manifest
from pipeline.params import ManifestParams
from pipeline.progress import Progress, Silent

_GATES = ("low_jpeg_quality", "halved_chroma", "flat", "greyscale", "text", "excluded_tags")
_FORGIVING_SCALE = 0.5
# JPEG gives grey pictures a tint of about a level.
_LEAST_COLOUR = 2.0
_TEXT_TAGS = frozenset({"text_focus", "text-only_page"})


@dataclass(frozen=True)
class ManifestReport:
    """How many images each split has, and how many pictures each gate took."""

    rows: int
    train: int
    val: int
    test: int
    refused: int
    low_jpeg_quality: int
    halved_chroma: int
    flat: int
    greyscale: int
    text: int
    excluded_tags: int
    exact_duplicates: int
    near_duplicates: int
    across_splits: int
    over_count: int

    @property
    def left_out(self) -> dict[str, int]:
        """How many pictures are not in the manifest, by what kept them out, in words."""
        return {
            "refused by resize": self.refused,
            "of low JPEG quality": self.low_jpeg_quality,
            "with halved chroma": self.halved_chroma,
            "flat": self.flat,
            "greyscale": self.greyscale,
            "of text": self.text,
            "with excluded tags": self.excluded_tags,
            "exact duplicates": self.exact_duplicates,
            "near duplicates": self.near_duplicates,
            "relatives across splits": self.across_splits,
        }


def build_manifest(
    params: ManifestParams,
    raw: Path,
    resized: Path,
    manifest: Path,
    report: Path,
    progress: Progress = Silent(),  # noqa: B008
) -> ManifestReport:
    """Choose the images, give each its split, and write `manifest` and `report`.

    A picture's split depends on the seed, the fractions, its id and its parent's id alone: adding
    pictures moves none from one split to another. Pictures that chains of parents or duplicates
    link are kept on one side all the same: where they fall on several, only those stay that are on
    the side with most of them.

    Raises `PipelineError` where the stages before have not run or do not fit together, where fewer
    rows are left than the params allow, where a wanted split is empty, or where nothing can be
    written.
    """
    posts = {post.id: post for post in read_posts(raw)}
    listed = _posted(read_index(resized), posts, raw, resized)
    images, gates = _through_gates(listed, posts, params)
    ends = [_chain_end(posts, image.id) for image in images]
    twice = find_duplicates(images, ends, params.phash_distance, progress)
    left = [image for image in images if image.key not in twice.exact | twice.near]
    splits = {image.key: _split(params, posts[image.id]) for image in left}
    whole = _one_side(left, twice.groups, splits)
    chosen = _choose(whole, params)
    result = ManifestReport(
        rows=len(chosen),
        **_split_sizes(splits[image.key] for image in chosen),
        refused=len(posts) - len({image.id for image in listed}),
        **gates,
        exact_duplicates=len(twice.exact),
        near_duplicates=len(twice.near),
        across_splits=len(left) - len(whole),
        over_count=len(whole) - len(chosen),
    )
    rows = [_join(image, posts[image.id], splits[image.key]) for image in chosen]
    try:
        write_text(report, json.dumps(vars(result), indent=2) + "\n")
        _judge(params, result, progress)
        write_manifest(manifest, rows)
    except OSError as error:
        raise PipelineError(f"{manifest}, {report}: cannot be written: {error}") from None
    return result


def _posted(images: list[Image], posts: dict[int, Post], raw: Path, resized: Path) -> list[Image]:
    for image in images:
        if image.id not in posts:
            raise PipelineError(
                f"{resized / INDEX_FILE}: id {image.id} is not in {raw / POSTS_FILE}; "
                "run pipeline resize again"
            )
    return images


def _through_gates(
    images: list[Image], posts: dict[int, Post], params: ManifestParams
) -> tuple[list[Image], dict[str, int]]:
    """The images that pass, and how many each gate took."""
    taken: list[Image] = []
    counts = dict.fromkeys(_GATES, 0)
    for image in images:
        gate = _gate(image, posts[image.id], params)
        if gate is None:
            taken.append(image)
        else:
            counts[gate] += 1
    return taken, counts


def _gate(image: Image, post: Post, params: ManifestParams) -> str | None:
    """The first gate that keeps an image out."""
    # Shrinking by two averages a JPEG's blocks, and its halved chroma, away.
    marked = image.jpeg_quality is not None and image.scale > _FORGIVING_SCALE
    quality = image.jpeg_quality or 0
    tags = set(post.tags)
    checks = {
        "low_jpeg_quality": marked and quality < (params.min_jpeg_quality or 0),
        "halved_chroma": marked and params.full_chroma and image.jpeg_subsampling != "4:4:4",
        "flat": image.contrast < params.min_contrast,
        "greyscale": not params.greyscale and image.colourfulness < _LEAST_COLOUR,
        "text": not params.text and bool(_TEXT_TAGS & tags),
        "excluded_tags": bool(set(params.excluded_tags) & tags),
    }
    return next((gate for gate in _GATES if checks[gate]), None)


def _chain_end(posts: dict[int, Post], id: int) -> int:
    """The last id that the chain of parents from `id` names; of a circle, its lowest."""
    chain = [id]
    while chain[-1] in posts and (parent := posts[chain[-1]].parent_id):
        if parent in chain:
            return min(chain[chain.index(parent) :])
        chain.append(parent)
    return chain[-1]


def _one_side(
    images: Sequence[Image], groups: Mapping[Key, int], splits: Mapping[Key, str]
) -> list[Image]:
    """The images without those that fall on another side than most of their group."""
    sides: dict[int, Counter[str]] = defaultdict(Counter)
    for image in images:
        sides[groups[image.key]][splits[image.key]] += 1
    most = {group: max(SPLITS, key=lambda split: found[split]) for group, found in sides.items()}
    return [image for image in images if splits[image.key] == most[groups[image.key]]]


def _choose(images: Sequence[Image], params: ManifestParams) -> list[Image]:
    """At most `params.count` of the images, by ascending key."""
    drawn = sorted(images, key=lambda image: _draw(params.seed, "choice", *image.key))
    return sorted(drawn[: params.count], key=lambda image: image.key)


def _split(params: ManifestParams, post: Post) -> Split:
    # Of a family only what its own post says of it is sure never to change as posts are added.
    drawn = _draw(params.seed, "split", post.parent_id or post.id)
    # val grows from one end and test from the other: changing one fraction leaves the other split.
    if drawn < params.val_fraction:
        return "val"
    return "test" if drawn >= 1 - params.test_fraction else "train"


def _draw(seed: int, purpose: str, *key: int) -> float:
    """A number in [0, 1) that is the same on every machine and in every run."""
    text = ":".join([str(seed), purpose, *map(str, key)])
    digest = hashlib.sha256(text.encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def _join(image: Image, post: Post, split: Split) -> Row:
    return Row(
        **{name: value for name, value in vars(image).items() if name in HEADER},
        split=split,
        rating=post.rating,
        tags=post.tags,
        post_url=post.post_url,
        source=post.source,
    )


def _split_sizes(splits: Iterable[str]) -> dict[str, int]:
    found = Counter(splits)
    return {split: found[split] for split in SPLITS}


def _judge(params: ManifestParams, result: ManifestReport, progress: Progress) -> None:
    gates = result.left_out
    pictures = result.rows + sum(gates.values()) + result.over_count
    told = ", ".join(f"{lost} {gate}" for gate, lost in gates.items() if lost)
    losses = f"of {pictures} pictures: {told or 'none lost'}"
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
