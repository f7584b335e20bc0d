"""Kernel distance between VGG16 features of a set of results and of the originals (KVD).

This is the unbiased squared maximum mean discrepancy with the kernel (x·y/d + 1)³ (Bińkowski et al.
2018, equations 3 and 4), on VGG16's features after its last convolution in place of Inception's. It
needs fewer images than the Fréchet distance, which fits a covariance of 512 × 512 to them, and its
estimate is unbiased in their number: for equal distributions it is 0 on average, and may be
slightly negative.
"""

from collections import defaultdict
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

GRID = 2
"""Each image has a descriptor for each of its 2 × 2 quarters."""
BLOCK_ROWS = 4096
"""Rows of the kernel matrix that are computed at a time."""


class DescriptorSets:
    """Descriptors of several named sets of images, and the distances between the sets."""

    def __init__(self) -> None:
        self._sets: dict[str, list[Tensor]] = defaultdict(list)

    def add(self, descriptors: Mapping[str, Tensor]) -> None:
        """Add one image's descriptors: set's name → (P, C)."""
        for name, rows in descriptors.items():
            self._sets[name].append(rows.double().cpu())

    def distances(self, original: str) -> dict[str, float]:
        """Return the distance of each other set to the set `original`, all of the same size.

        Empty for fewer than two images: the estimate needs pairs of different images.
        """
        if len(self._sets[original]) < 2:
            return {}
        originals = torch.cat(self._sets[original])
        within_originals = _mean_kernel(originals, originals)
        distances = {}
        for name, parts in self._sets.items():
            if name != original:
                results = torch.cat(parts)
                within_results = _mean_kernel(results, results)
                between = _mean_kernel(results, originals)
                distances[name] = within_results + within_originals - 2 * between
        return distances


def descriptors(features: Tensor) -> Tensor:
    """Average an image's features over its quarters: (1, C, h, w) → (4, C)."""
    return F.adaptive_avg_pool2d(features, GRID)[0].flatten(1).t()


def _mean_kernel(rows: Tensor, columns: Tensor) -> float:
    """Average the kernel over all pairs of descriptors of different images: (M, C), (M, C).

    Between sets, too, pairs of an image's result and the image itself are left out: they are not
    independent samples, and would make any method's distance too small.
    """
    total = torch.zeros((), dtype=torch.float64)
    image_of_descriptor = torch.arange(len(columns)) // GRID**2
    blocks = zip(
        torch.split(rows, BLOCK_ROWS), torch.split(image_of_descriptor, BLOCK_ROWS), strict=True
    )
    for block, image_of_block_row in blocks:
        kernel = (block @ columns.t() / columns.shape[1] + 1) ** 3
        total += kernel[image_of_block_row[:, None] != image_of_descriptor[None]].sum()
    images = len(columns) // GRID**2
    return float(total / (images * (images - 1) * GRID**4))
