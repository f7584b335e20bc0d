"""Find duplicates: images with equal pixels, or with similar perceptual hashes.

Mirror images are duplicates too: training mirrors its crops at random.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.images.records import Key
from pipeline.progress import Progress, Silent

# A perceptual hash sets the bits of the coefficients above their median, so about half of its 64.
# Flat images have next to no coefficients: they set next to no bits, and would all be duplicates.
MIN_BITS = 8


class Hashed(Protocol):
    """An image with its key, its original's size, and hashes of the resized image."""

    @property
    def key(self) -> Key: ...
    @property
    def original_width(self) -> int: ...
    @property
    def original_height(self) -> int: ...
    @property
    def sha256(self) -> str: ...
    @property
    def phash(self) -> str: ...
    @property
    def phash_mirrored(self) -> str | None: ...


@dataclass(frozen=True)
class Duplicates:
    """Keys of the images to exclude, and the group of each image."""

    exact: frozenset[Key]
    near: frozenset[Key]
    groups: dict[Key, int]


def find_duplicates(
    images: Sequence[Hashed],
    groups: Sequence[int],
    distance: int | None,
    progress: Progress = Silent(),
) -> Duplicates:
    """Find the images to exclude so that no duplicates remain.

    Of two duplicates, the one with the larger original stays, then the one with the lower key.
    Images are near duplicates if their hashes, or that of one and that of the other's mirror image,
    differ in at most `distance` of 64 bits (None: never). `groups` has one label per image; groups
    with a pair of duplicates are merged into the lowest.
    """
    order = sorted(range(len(images)), key=lambda index: _rank(images[index]))
    ranked = [images[index] for index in order]
    labels = np.array([groups[index] for index in order], np.int64)
    is_exact = _mark_exact(ranked, labels)
    exact = frozenset(ranked[index].key for index in np.flatnonzero(is_exact))
    near: frozenset[Key] = frozenset()
    if distance is not None:
        is_near = _mark_near(ranked, labels, is_exact, distance, progress)
        near = frozenset(ranked[index].key for index in np.flatnonzero(is_near))
    members = {image.key: int(label) for image, label in zip(ranked, labels, strict=True)}
    return Duplicates(exact, near, members)


def _rank(image: Hashed) -> tuple[int, Key]:
    """Return a sort key by which the best of several duplicates is the least."""
    return -image.original_width * image.original_height, image.key


def _mark_exact(ranked: Sequence[Hashed], labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mark images, best first, that equal an earlier one; merge their groups in `labels`."""
    marked = np.zeros(len(ranked), np.bool_)
    first: dict[str, int] = {}
    for index, image in enumerate(ranked):
        kept = first.setdefault(image.sha256, index)
        if kept != index:
            marked[index] = True
            _merge(labels, np.array([kept, index]))
    return marked


def _mark_near(
    ranked: Sequence[Hashed],
    labels: NDArray[np.int64],
    exact: NDArray[np.bool_],
    distance: int,
    progress: Progress,
) -> NDArray[np.bool_]:
    """Mark images, best first, that are near one that stays; merge the groups of near pairs."""
    hashes = np.array([int(image.phash, 16) for image in ranked], np.uint64)
    mirrored = np.array([int(one.phash_mirrored or one.phash, 16) for one in ranked], np.uint64)
    mirrored = np.where(np.bitwise_count(mirrored) >= MIN_BITS, mirrored, hashes)
    compared = np.flatnonzero(~exact & (np.bitwise_count(hashes) >= MIN_BITS))
    hashes, mirrored = hashes[compared], mirrored[compared]
    marked = np.zeros(len(ranked), np.bool_)
    progress.start("near duplicates", len(compared), "images")
    try:
        for position, index in enumerate(compared):
            differing = np.minimum(
                np.bitwise_count(hashes[position:] ^ hashes[position]),
                np.bitwise_count(hashes[position:] ^ mirrored[position]),
            )
            near = compared[position:][differing <= distance]
            if len(near) > 1:
                _merge(labels, near)
                # Only kept images exclude others: an image near an excluded one may be far from
                # every kept one.
                if not marked[index]:
                    marked[near[1:]] = True
            progress.update(position + 1)
    finally:
        progress.finish()
    return marked


def _merge(labels: NDArray[np.int64], members: NDArray[np.intp]) -> None:
    """Give all groups of `members` the lowest of their labels."""
    merged = labels[members]
    lowest = merged.min()
    if (merged != lowest).any():
        labels[np.isin(labels, merged)] = lowest
