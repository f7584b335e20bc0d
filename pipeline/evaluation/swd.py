"""Sliced Wasserstein distance between patches of a set of results and of the originals (SWD).

Patches are of Laplacian pyramids (Karras et al. 2018, section 5). Adapted to sets of a few to a few
hundred pairs:

- Patches are 7 × 7 × 3 from every level whose shorter side is at least 16 pixels. Images of
  different sizes have as many levels as the smallest one, which begin with the finest of each.
- At most 16,384 patches per level, spread evenly over the images. Positions are drawn once per
  level and image, and are the same for results and originals: so equal sets have distance 0, and
  all methods share the sampling noise.
- Each level's channels are normalised by the *originals'* mean and deviation, for both sets; those
  that vary by less than rounding makes are taken to vary by that. The paper normalises each set by
  its own, which hides lost contrast, and so hides blur.
- A level's distance is the mean over 128 directions of the distance between sorted projections; the
  set's distance is the mean over levels. Unit: standard deviations of the originals, not times
  1,000.
"""

from collections import defaultdict
from dataclasses import dataclass

import torch
from torch.nn import functional as F

PATCH = 7
SMALLEST_SIDE = 16
PATCHES = 16_384
DIRECTIONS = 128
ROUNDING = 12**-0.5
"""Deviation that rounding to whole levels makes: the least that a level of a pyramid is taken to
have, so that the distance of flat originals stays finite."""
KERNEL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)


@dataclass(frozen=True)
class Distance:
    """Sliced Wasserstein distance of a set of results to the originals; 0 for equal sets."""

    mean: float
    levels: dict[int, float]
    """shorter side of a level of the smallest image → its distance; the finest first"""


class PatchSets:
    """Patches of several named sets of images, and the distances between the sets.

    `images` is the number of images of each set, `smallest_side` the shorter side of the smallest
    one in pixels; `seed` determines positions and directions.
    """

    def __init__(self, images: int, smallest_side: int, seed: int) -> None:
        self._sides = level_sides(smallest_side)
        self._per_image = max(1, PATCHES // max(1, images))
        self._generator = torch.Generator().manual_seed(seed)
        self._seed = seed
        self._sets: dict[str, dict[int, list[torch.Tensor]]] = defaultdict(
            lambda: defaultdict(list)
        )

    def add(self, images: dict[str, torch.Tensor]) -> None:
        """Add the patches of an image and of its results, at the same positions in all of them.

        `images` maps a set's name to (3, H, W), values in [0, 255], all of one shape.
        """
        positions: list[torch.Tensor] = []
        # One at a time the levels stay in the CPU's cache: four times as fast as a batch.
        for name, image in images.items():
            pyramid = laplacian_pyramid(image[None].float(), len(self._sides))
            positions = positions or [self._sample_positions(level) for level in pyramid]
            for side, level, level_positions in zip(self._sides, pyramid, positions, strict=True):
                self._sets[name][side].append(_patches(level, level_positions)[0].cpu())

    def _sample_positions(self, level: torch.Tensor) -> torch.Tensor:
        height, width = level.shape[-2:]
        count = (height - PATCH + 1) * (width - PATCH + 1)
        positions = torch.randperm(count, generator=self._generator)
        return positions[: self._per_image].to(level.device)

    def distances(self, original: str) -> dict[str, Distance]:
        """Return the distance of each other set to the set `original`."""
        names = [name for name in self._sets if name != original]
        levels: dict[str, dict[int, float]] = {name: {} for name in names}
        directions = _directions(self._seed)
        for side, parts in self._sets[original].items():
            patches = torch.cat(parts)
            mean = patches.mean(dim=(0, 2), keepdim=True)
            deviation = patches.std(dim=(0, 2), keepdim=True).clamp_min(ROUNDING)
            target = _projections((patches - mean) / deviation, directions)
            for name in names:
                results = (torch.cat(self._sets[name][side]) - mean) / deviation
                distance = (_projections(results, directions) - target).abs().mean()
                levels[name][side] = float(distance)
        return {
            name: Distance(sum(by_side.values()) / len(by_side), by_side)
            for name, by_side in levels.items()
        }


def level_sides(side: int) -> list[int]:
    """Return the shorter sides of a pyramid's levels, of images whose shorter side is `side`."""
    sides = [side]
    while sides[-1] >= 2 * SMALLEST_SIDE:
        sides.append((sides[-1] + 1) // 2)
    return sides


def laplacian_pyramid(images: torch.Tensor, levels: int) -> list[torch.Tensor]:
    """Return the band-pass levels of (N, C, H, W), finest first, then the low-pass residual.

    The images are reconstructed from the last level by enlarging it to the size of the one before
    and adding that, level by level (Burt & Adelson 1983).
    """
    pyramid = []
    for _ in range(levels - 1):
        smaller = _blur(images)[..., ::2, ::2]
        pyramid.append(images - _enlarge(smaller, images))
        images = smaller
    return [*pyramid, images]


def _blur(images: torch.Tensor) -> torch.Tensor:
    channels = images.shape[1]
    kernel = torch.tensor(KERNEL, dtype=images.dtype, device=images.device)
    padded = F.pad(images, (2, 2, 2, 2), mode="reflect")
    rows = F.conv2d(padded, kernel.view(1, 1, 1, 5).expand(channels, 1, 1, 5), groups=channels)
    return F.conv2d(rows, kernel.view(1, 1, 5, 1).expand(channels, 1, 5, 1), groups=channels)


def _enlarge(smaller: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    upsampled = torch.zeros_like(like)
    upsampled[..., ::2, ::2] = smaller
    return 4 * _blur(upsampled)


def _patches(level: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Return patches (N, P, 3, 49) of (N, 3, H, W) at (P,) indices of top left corners."""
    width = level.shape[-1]
    corners = positions // (width - PATCH + 1) * width + positions % (width - PATCH + 1)
    steps = torch.arange(PATCH, device=level.device)
    offsets = (steps[:, None] * width + steps).flatten()
    patches = level.flatten(2)[:, :, corners[:, None] + offsets]
    return patches.transpose(1, 2)


def _directions(seed: int) -> torch.Tensor:
    """Return unit vectors (3 · 49, directions), uniform on the sphere."""
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(3 * PATCH * PATCH, DIRECTIONS, generator=generator)
    return F.normalize(directions, dim=0)


def _projections(patches: torch.Tensor, directions: torch.Tensor) -> torch.Tensor:
    """Project (P, 3, 49) on each direction and sort: (directions, P)."""
    return (patches.flatten(1) @ directions).t().contiguous().sort(dim=1).values
