"""How far the results' contents, as a whole, are from the originals': a kernel distance.

The unbiased squared maximum mean discrepancy with the kernel (x·y/d + 1)³ (Bińkowski et al. 2018,
equations 3 and 4), on VGG16's features after its last convolution in place of Inception's. It needs
fewer images than the Fréchet distance, which fits a covariance of 512 × 512 to them, and its
estimate has no bias from their number: of equal distributions it is 0 on average, so that it may
come out a little below.
"""

from collections import defaultdict
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

PARTS = 2
"""An image gives a descriptor for each of its 2 × 2 quarters."""
BLOCK = 4096


class DescriptorSets:
    """Descriptors of several sets of images, a set a name; set against set when all are there."""

    def __init__(self) -> None:
        self._sets: dict[str, list[Tensor]] = defaultdict(list)

    def add(self, descriptors: Mapping[str, Tensor]) -> None:
        """Take one picture's descriptors of each version, (P, C) each."""
        for name, of_one in descriptors.items():
            self._sets[name].append(of_one.double().cpu())

    def distances(self, original: str) -> dict[str, float]:
        """The distance of every other set to the set `original`; all have as many images.

        None where there are no two of them: the distance is made of pairs of images.
        """
        if len(self._sets[original]) < 2:
            return {}
        target = torch.cat(self._sets[original])
        within_target = _mean_kernel(target, target)
        found = {}
        for name, parts in self._sets.items():
            if name != original:
                others = torch.cat(parts)
                within = _mean_kernel(others, others) + within_target
                found[name] = within - 2 * _mean_kernel(others, target)
        return found


def descriptors(features: Tensor) -> Tensor:
    """Means of an image's features over its quarters: (1, C, h, w) → (4, C)."""
    return F.adaptive_avg_pool2d(features, PARTS)[0].flatten(1).t()


def _mean_kernel(a: Tensor, b: Tensor) -> float:
    """Mean of the kernel over all pairs that are no image with itself: (M, C), (M, C).

    Between sets, too, an image's result and the image itself are left out: they are no independent
    draws, and would make any method look nearer than its distribution is.
    """
    total = torch.zeros((), dtype=torch.float64)
    numbers = torch.arange(len(b)) // PARTS**2
    for rows, of_rows in zip(torch.split(a, BLOCK), torch.split(numbers, BLOCK), strict=True):
        kernel = (rows @ b.t() / b.shape[1] + 1) ** 3
        total += kernel[of_rows[:, None] != numbers[None]].sum()
    images = len(b) // PARTS**2
    return float(total / (images * (images - 1) * PARTS**4))
