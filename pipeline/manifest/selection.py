"""Select the images of the manifest and split them, without duplicates within or across splits."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.files import write_text, writing
from pipeline.images.records import (
    INDEX_FILE,
    POSTS_FILE,
    ImageRecord,
    Key,
    Post,
    read_index,
    read_posts,
)
from pipeline.manifest.duplicates import find_duplicates
from pipeline.manifest.rows import HEADER, SPLITS, Row, Split, write_manifest
from pipeline.manifest.splits import draw, draw_splits, least_per_split, one_split_per_group
from pipeline.params import ManifestParams
from pipeline.progress import Progress, Silent
from pipeline.tag_patterns import tag_patterns

# Shrinking by two averages a JPEG's blocks, and its halved chroma, away.
_MAX_UNCHECKED_SCALE = 0.5
# JPEG gives grey pictures a tint of about a level.
_MIN_COLOURFULNESS = 2.0
_TEXT_TAGS = frozenset({"text_focus", "text-only_page"})


def _is_checked_jpeg(image: ImageRecord) -> bool:
    return image.jpeg_quality is not None and image.scale > _MAX_UNCHECKED_SCALE


def _has_low_quality(image: ImageRecord, post: Post, params: ManifestParams) -> bool:
    least = params.min_jpeg_quality or 0
    return _is_checked_jpeg(image) and (image.jpeg_quality or 0) < least


def _has_halved_chroma(image: ImageRecord, post: Post, params: ManifestParams) -> bool:
    is_halved = image.jpeg_subsampling != "4:4:4"
    return params.full_chroma and _is_checked_jpeg(image) and is_halved


_FILTERS: dict[str, Callable[[ImageRecord, Post, ManifestParams], bool]] = {
    "low_jpeg_quality": _has_low_quality,
    "halved_chroma": _has_halved_chroma,
    "flat": lambda image, post, params: image.contrast < params.min_contrast,
    "greyscale": lambda image, post, params: (
        not params.greyscale and image.colourfulness < _MIN_COLOURFULNESS
    ),
    "text": lambda image, post, params: not params.text and not _TEXT_TAGS.isdisjoint(post.tags),
    "excluded_tags": lambda image, post, params: tag_patterns(params.excluded_tags).match_any(
        post.tags
    ),
}
"""Filters by the name in the report: whether each excludes an image. The first that does counts."""


@dataclass(frozen=True)
class ManifestReport:
    """Numbers of images in each split and that each step excluded.

    `refused` counts originals, of which `resize` made no image.
    """

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
    def excluded(self) -> dict[str, int]:
        """Numbers of images that are not in the manifest, by the reason in words."""
        return {
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

    @property
    def left_out(self) -> dict[str, int]:
        """Numbers of what is not in the manifest, by the reason in words."""
        return {"originals refused by resize": self.refused} | self.excluded


def build_manifest(
    params: ManifestParams,
    raw: Path,
    resized: Path,
    manifest: Path,
    report: Path,
    progress: Progress = Silent(),
) -> ManifestReport:
    """Select the images, assign each to a split, and write `manifest` and `report`.

    Images that are linked by parents or as duplicates are a group, of which only the images in one
    split stay: that with most of them.

    Raises `PipelineError` where the earlier stages' results are missing or do not match, where too
    few rows remain, where a requested split is empty, or where a file cannot be written.
    """
    posts = {post.id: post for post in read_posts(raw)}
    indexed = read_index(resized)
    _check_posts(indexed, posts, raw, resized)
    images, filtered = _filter(indexed, posts, params)
    roots = [_root(posts, image.id) for image in images]
    if params.phash_distance is not None and any(one.phash_mirrored is None for one in images):
        progress.message(
            f"{resized / INDEX_FILE}: of an earlier version, so mirror images are not found; "
            "pipeline resize adds their hashes"
        )
    duplicates = find_duplicates(images, roots, params.phash_distance, progress)
    dropped = duplicates.exact | duplicates.near
    unique = [image for image in images if image.key not in dropped]
    splits = draw_splits(unique, posts, params)
    separated = one_split_per_group(unique, duplicates.groups, splits)
    selected = _sample(separated, splits, params)
    result = ManifestReport(
        rows=len(selected),
        **_split_sizes(splits[image.key] for image in selected),
        refused=len(posts) - len({image.id for image in indexed}),
        **filtered,
        exact_duplicates=len(duplicates.exact),
        near_duplicates=len(duplicates.near),
        across_splits=len(unique) - len(separated),
        over_count=len(separated) - len(selected),
    )
    rows = [_row(image, posts[image.id], splits[image.key]) for image in selected]
    with writing(report):
        write_text(report, json.dumps(vars(result), indent=2) + "\n")
    _check_counts(params, result, progress)
    with writing(manifest):
        write_manifest(manifest, rows)
    return result


def _check_posts(
    images: list[ImageRecord], posts: dict[int, Post], raw: Path, resized: Path
) -> None:
    """Raise `PipelineError` where the index has an image whose original is not listed."""
    for image in images:
        post = posts.get(image.id)
        if post is None:
            problem = f"is not in {raw / POSTS_FILE}"
        elif post.sha256 != image.original_sha256:
            problem = f"was made from another file than {raw / POSTS_FILE} lists (sha256)"
        else:
            continue
        raise PipelineError(
            f"{resized / INDEX_FILE}: id {image.id} {problem}; run pipeline resize again"
        )


def _filter(
    images: list[ImageRecord], posts: dict[int, Post], params: ManifestParams
) -> tuple[list[ImageRecord], dict[str, int]]:
    """Return the images that pass all filters, and how many each filter excluded as the first."""
    passed: list[ImageRecord] = []
    counts = dict.fromkeys(_FILTERS, 0)
    for image in images:
        post = posts[image.id]
        reason = next((name for name in _FILTERS if _FILTERS[name](image, post, params)), None)
        if reason is None:
            passed.append(image)
        else:
            counts[reason] += 1
    return passed, counts


def _root(posts: dict[int, Post], id: int) -> int:
    """Return the last id in the chain of parents from `id`; of a cycle, its lowest."""
    chain = [id]
    while chain[-1] in posts and (parent := posts[chain[-1]].parent_id):
        if parent in chain:
            return min(chain[chain.index(parent) :])
        chain.append(parent)
    return chain[-1]


def _sample(
    images: Sequence[ImageRecord], splits: Mapping[Key, Split], params: ManifestParams
) -> list[ImageRecord]:
    """Return at most `params.count` of the images, drawn at random, by ascending key.

    The least number of images for validation and for testing is among them.
    """
    drawn = sorted(images, key=lambda image: draw(params.seed, "choice", *image.key))
    least = least_per_split(min(params.count, len(drawn)), params)
    reserved = [
        image
        for split in ("val", "test")
        for image in [one for one in drawn if splits[one.key] == split][:least]
    ]
    chosen = dict.fromkeys(image.key for image in [*reserved, *drawn])
    kept = set(list(chosen)[: params.count])
    return sorted((image for image in images if image.key in kept), key=lambda image: image.key)


def _row(image: ImageRecord, post: Post, split: Split) -> Row:
    return Row(
        **{name: value for name, value in vars(image).items() if name in HEADER},
        split=split,
        rating=post.rating,
        tags=post.tags,
        post_url=post.post_url,
        source=post.source,
    )


def _split_sizes(splits: Iterable[str]) -> dict[str, int]:
    counts = Counter(splits)
    return {split: counts[split] for split in SPLITS}


def _problems(params: ManifestParams, result: ManifestReport, exclusions: str) -> list[str]:
    """Return why the counts do not do, a line each; the last names the params that would do."""
    lines, remedies = [], []
    needed = min(params.min_count, params.count)
    if result.rows < needed:
        lines.append(
            f"manifest.min_count: {result.rows} images are left, {needed} are needed "
            f"({exclusions}); raise scrape.limit or lower manifest.min_count"
        )
        remedies.append(f"manifest.min_count={result.rows}")
    if not result.rows:
        return lines
    for split in ("val", "test"):
        name = f"{split}_fraction"
        if getattr(params, name) and not getattr(result, split):
            lines.append(
                f"manifest.{name}: {getattr(params, name)} of {result.rows} images left the "
                f"{split} split empty; raise it, or set it to 0"
            )
            remedies.append(f"manifest.{name}=0")
    if not result.train:
        lines.append(
            f"manifest: all {result.rows} images are in val and test; lower "
            "manifest.val_fraction or manifest.test_fraction"
        )
        remedies += ["manifest.val_fraction=0", "manifest.test_fraction=0"]
    if lines:
        lines[-1] += f"; for a small set: {', '.join(dict.fromkeys(remedies))}"
    return lines


def _check_counts(params: ManifestParams, result: ManifestReport, progress: Progress) -> None:
    """Raise `PipelineError` where too few images remain; warn where fewer than wanted do."""
    excluded = result.excluded
    images = result.rows + sum(excluded.values()) + result.over_count
    reasons = ", ".join(f"{count} {reason}" for reason, count in excluded.items() if count)
    exclusions = f"of {images} images: {reasons or 'none lost'}"
    if result.refused:
        exclusions += f"; originals refused by resize: {result.refused}"
    if problems := _problems(params, result, exclusions):
        raise PipelineError("\n".join(problems))
    if result.rows >= params.count:
        return
    if not reasons and not result.refused:
        progress.message(f"all {images} images; manifest.count is {params.count}")
        return
    progress.message(
        f"warning: {params.count - result.rows} images fewer than manifest.count "
        f"{params.count}: {exclusions}"
    )
