"""Splits of the manifest: drawn per image, one per group of related images."""

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from pipeline.images.records import ImageRecord, Key, Post
from pipeline.manifest.rows import SPLITS, Split
from pipeline.params import ManifestParams


def draw_splits(
    images: Sequence[ImageRecord], posts: Mapping[int, Post], params: ManifestParams
) -> dict[Key, Split]:
    """Return a split for each image, drawn by the seed and its post's parent, or else its post.

    Adding posts moves no image from one split to another, except in sets so small that the
    fractions give fewer than `params.min_split` images.
    """
    # Of its relatives, only the parent that its own post names never changes as posts are added.
    drawn = {
        image.key: draw(params.seed, "split", posts[image.id].parent_id or image.id)
        for image in images
    }
    val_end, test_start = _split_bounds(sorted(drawn.values()), params)
    # val is at one end and test at the other: changing one fraction does not move the other split.
    return {
        key: "val" if value < val_end else "test" if value >= test_start else "train"
        for key, value in drawn.items()
    }


def least_per_split(images: int, params: ManifestParams) -> int:
    """Return how many of all `images` validation and testing have at least.

    A tenth each, one of three or more.
    """
    return min(params.min_split, max(images // 10, 1 if images >= len(SPLITS) else 0))


def _split_bounds(drawn: Sequence[float], params: ManifestParams) -> tuple[float, float]:
    """Return the number below which an image is in val, and that from which on it is in test.

    `drawn` are the numbers of all images, ascending.
    """
    least = least_per_split(len(drawn), params)
    val_end, test_start = params.val_fraction, 1 - params.test_fraction
    if least and params.val_fraction:
        val_end = max(val_end, math.nextafter(drawn[least - 1], 1))
    if least and params.test_fraction:
        test_start = min(test_start, drawn[-least])
    return val_end, test_start


def one_split_per_group(
    images: Sequence[ImageRecord], groups: Mapping[Key, int], splits: Mapping[Key, str]
) -> list[ImageRecord]:
    """Return the images without those in another split than most of their group.

    Of splits with equally many, the first in `SPLITS` stays.
    """
    counts: dict[int, Counter[str]] = defaultdict(Counter)
    for image in images:
        counts[groups[image.key]][splits[image.key]] += 1
    largest = {group: max(SPLITS, key=lambda name: n[name]) for group, n in counts.items()}
    return [image for image in images if splits[image.key] == largest[groups[image.key]]]


def draw(seed: int, purpose: str, *key: int) -> float:
    """Return a number in [0, 1) that is the same on every machine and in every run."""
    text = ":".join([str(seed), purpose, *map(str, key)])
    digest = hashlib.sha256(text.encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
