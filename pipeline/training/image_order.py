"""The order in which images are trained on: all of an epoch, then all of the next."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from pipeline.training.sources import ImageSource


@dataclass(frozen=True)
class ImageOrder:
    """The image of each sample, for images that are numbered source by source.

    In an epoch each image of a source comes as often as the source's weight says: with weight 2
    twice, with 0.5 in every second epoch; but one image of each source at least. An epoch's order
    is drawn from `seed` and its number.
    """

    counts: tuple[int, ...]
    """images of each source"""
    weights: tuple[float, ...]
    seed: int

    @staticmethod
    def of(sources: Sequence[ImageSource], seed: int) -> "ImageOrder":
        """Return the order of the images of `sources`."""
        counts = tuple(len(source.hr_sizes) for source in sources)
        return ImageOrder(counts, tuple(source.weight for source in sources), seed)

    @cached_property
    def samples(self) -> tuple[int, ...]:
        """Samples of each source in an epoch, at least one."""
        pairs = zip(self.counts, self.weights, strict=True)
        return tuple(max(1, round(count * weight)) for count, weight in pairs)

    @property
    def epoch(self) -> int:
        """The number of samples in an epoch."""
        return sum(self.samples)

    def image(self, sample: int) -> int:
        """Return the number of a sample's image; samples are counted from 0 over all epochs."""
        epoch, position = divmod(sample, self.epoch)
        position = int(_permutation(self.seed, epoch, self.epoch)[position])
        first = 0
        for count, samples in zip(self.counts, self.samples, strict=True):
            if position < samples:
                return first + self._index(count, samples, epoch * samples + position)
            position, first = position - samples, first + count
        raise AssertionError("a position is within the epoch")

    def _index(self, count: int, samples: int, sample: int) -> int:
        """Return the image of a source's own `sample`, of so many `samples` in an epoch."""
        round_, position = divmod(sample, count)
        if samples % count == 0:
            return position
        # An epoch has a part of a round, and must not be of neighbours in a folder.
        return int(_permutation(self.seed, round_, count)[position])


@lru_cache(maxsize=4)
def _permutation(seed: int, epoch: int, count: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch, count)).permutation(count)
