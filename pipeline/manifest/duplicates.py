"""Pictures that are there twice: with equal pixels, or alike to a perceptual hash."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.images.records import Key
from pipeline.progress import Progress, Silent

# A perceptual hash sets the bits of the coefficients above their median, so about half of its 64.
# Flat pictures have next to no coefficients, set next to no bits, and would all be alike.
LEAST_BITS = 8


class Hashed(Protocol):
    """What is known of a picture: its key, its original's size, and hashes of the result."""

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


@dataclass(frozen=True)
class Duplicates:
    """Keys of the pictures to leave out, and every picture's group."""

    exact: frozenset[Key]
    near: frozenset[Key]
    groups: dict[Key, int]


def find_duplicates(
    pictures: Sequence[Hashed],
    groups: Sequence[int],
    distance: int | None,
    progress: Progress = Silent(),  # noqa: B008
) -> Duplicates:
    """Find what to leave out so that no two pictures stay that are one.

    Of two, the one with the larger original stays, then the one with the lower key. Pictures are
    near where their hashes differ in at most `distance` of 64 bits (None: never). `groups` tells a
    group for each picture; those that hold a pair of duplicates become one, the lowest.
    """
    order = sorted(range(len(pictures)), key=lambda index: _rank(pictures[index]))
    ranked = [pictures[index] for index in order]
    labels = np.array([groups[index] for index in order], np.int64)
    left_out = _mark_exact(ranked, labels)
    exact = frozenset(ranked[index].key for index in np.flatnonzero(left_out))
    near: frozenset[Key] = frozenset()
    if distance is not None:
        marked = _mark_near(ranked, labels, left_out, distance, progress)
        near = frozenset(ranked[index].key for index in np.flatnonzero(marked))
    members = {picture.key: int(label) for picture, label in zip(ranked, labels, strict=True)}
    return Duplicates(exact, near, members)


def _rank(picture: Hashed) -> tuple[int, Key]:
    return -picture.original_width * picture.original_height, picture.key


def _mark_exact(ranked: Sequence[Hashed], labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which pictures, best first, equal an earlier one; their groups are joined in `labels`."""
    marked = np.zeros(len(ranked), np.bool_)
    first: dict[str, int] = {}
    for index, picture in enumerate(ranked):
        kept = first.setdefault(picture.sha256, index)
        if kept != index:
            marked[index] = True
            _join(labels, np.array([kept, index]))
    return marked


def _mark_near(
    ranked: Sequence[Hashed],
    labels: NDArray[np.int64],
    exact: NDArray[np.bool_],
    distance: int,
    progress: Progress,
) -> NDArray[np.bool_]:
    """Which pictures, best first, are near one that stays; groups of all near pairs are joined."""
    hashes = np.array([int(picture.phash, 16) for picture in ranked], np.uint64)
    judged = np.flatnonzero(~exact & (np.bitwise_count(hashes) >= LEAST_BITS))
    hashes = hashes[judged]
    marked = np.zeros(len(ranked), np.bool_)
    progress.start("near duplicates", len(judged), "images")
    try:
        for position, index in enumerate(judged):
            differing = np.bitwise_count(hashes[position:] ^ hashes[position])
            near = judged[position:][differing <= distance]
            if len(near) > 1:
                _join(labels, near)
                # One that goes itself takes nobody with it: its own neighbours may be different.
                if not marked[index]:
                    marked[near[1:]] = True
            progress.update(position + 1)
    finally:
        progress.finish()
    return marked


def _join(labels: NDArray[np.int64], members: NDArray[np.intp]) -> None:
    joined = labels[members]
    lowest = joined.min()
    if (joined != lowest).any():
        labels[np.isin(labels, joined)] = lowest
