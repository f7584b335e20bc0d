"""How far the results' small structures, as a whole, are from the originals': needs no weights.

Sliced Wasserstein distance between patches of Laplacian pyramids (Karras et al. 2018, section 5),
fitted to sets of a few to a few hundred pairs:

- Patches are 7 × 7 × 3 from every level whose shorter side is at least 16 pixels.
- At most 16,384 patches a level, spread evenly over the images, at places drawn once a level and
  image: results and originals are looked at in the same places, so that equal sets are at 0 and
  the sampling's noise is shared by all methods.
- Each level's channels are normalised by the *originals'* mean and deviation, for both sides. The
  paper takes each side's own, which hides lost contrast; but lost contrast is what blur is.
- The mean over 128 directions of the distance between the sorted projections; the set's distance
  is the mean over levels. In deviations of the originals, not times 1,000.
"""

from collections import defaultdict
from dataclasses import dataclass

import torch
from torch.nn import functional as F

PATCH = 7
SMALLEST_SIDE = 16
PATCHES = 16_384
DIRECTIONS = 128
KERNEL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)


@dataclass(frozen=True)
class Distance:
    """Sliced Wasserstein distance of a set of results to its originals; 0 for equal sets."""

    mean: float
    levels: dict[int, float]
    """shorter side of a level's images → its distance; the finest first"""


class PatchSets:
    """Patches of several sets of images, a set a name; set against set when all are gathered.

    `images` is how many images each set will have; `seed` decides places and directions.
    """

    def __init__(self, images: int, seed: int) -> None:
        self._per_image = max(1, PATCHES // max(1, images))
        self._places = torch.Generator().manual_seed(seed)
        self._seed = seed
        self._sets: dict[str, dict[int, list[torch.Tensor]]] = defaultdict(
            lambda: defaultdict(list)
        )

    def add(self, versions: dict[str, torch.Tensor]) -> None:
        """Take patches of one picture's versions at the same places in all.

        `versions` maps a set's name to (3, H, W), float in [0, 255], all of one shape.
        """
        places: list[torch.Tensor] = []
        # One at a time the levels stay in the CPU's cache: four times as fast as a batch.
        for name, image in versions.items():
            pyramid = laplacian_pyramid(image[None].float())
            places = places or [self._draw_places(level) for level in pyramid]
            for level, of_level in zip(pyramid, places, strict=True):
                side = min(level.shape[-2:])
                self._sets[name][side].append(_patches(level, of_level)[0].cpu())

    def _draw_places(self, level: torch.Tensor) -> torch.Tensor:
        height, width = level.shape[-2:]
        positions = (height - PATCH + 1) * (width - PATCH + 1)
        places = torch.randperm(positions, generator=self._places)
        return places[: self._per_image].to(level.device)

    def distances(self, original: str) -> dict[str, Distance]:
        """The distance of every other set to the set `original`."""
        names = [name for name in self._sets if name != original]
        levels: dict[str, dict[int, float]] = {name: {} for name in names}
        directions = _directions(self._seed)
        for side, parts in self._sets[original].items():
            patches = torch.cat(parts)
            mean = patches.mean(dim=(0, 2), keepdim=True)
            deviation = patches.std(dim=(0, 2), keepdim=True).clamp_min(1e-8)
            target = _projections((patches - mean) / deviation, directions)
            for name in names:
                others = (torch.cat(self._sets[name][side]) - mean) / deviation
                distance = (_projections(others, directions) - target).abs().mean()
                levels[name][side] = float(distance)
        return {
            name: Distance(sum(of_one.values()) / len(of_one), of_one)
            for name, of_one in levels.items()
        }


def laplacian_pyramid(images: torch.Tensor) -> list[torch.Tensor]:
    """(N, C, H, W) → what each octave adds, the finest first, and the rest (Burt & Adelson 1983).

    The levels, each enlarged to the one before it and added, give the images again.
    """
    levels = []
    while min(images.shape[-2:]) >= 2 * SMALLEST_SIDE:
        smaller = _blur(images)[..., ::2, ::2]
        levels.append(images - _enlarge(smaller, images))
        images = smaller
    return [*levels, images]


def _blur(images: torch.Tensor) -> torch.Tensor:
    channels = images.shape[1]
    kernel = torch.tensor(KERNEL, dtype=images.dtype, device=images.device)
    padded = F.pad(images, (2, 2, 2, 2), mode="reflect")
    rows = F.conv2d(padded, kernel.view(1, 1, 1, 5).expand(channels, 1, 1, 5), groups=channels)
    return F.conv2d(rows, kernel.view(1, 1, 5, 1).expand(channels, 1, 5, 1), groups=channels)


def _enlarge(smaller: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    spread = torch.zeros_like(like)
    spread[..., ::2, ::2] = smaller
    return 4 * _blur(spread)


def _patches(level: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """(N, 3, H, W) and (P,) numbers of top left corners → (N, P, 3, 49)."""
    width = level.shape[-1]
    corners = places // (width - PATCH + 1) * width + places % (width - PATCH + 1)
    steps = torch.arange(PATCH, device=level.device)
    offsets = (steps[:, None] * width + steps).flatten()
    taken = level.flatten(2)[:, :, corners[:, None] + offsets]
    return taken.transpose(1, 2)


def _directions(seed: int) -> torch.Tensor:
    """Unit vectors, (3 · 49, directions), from the normal distribution: uniform on the sphere."""
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(3 * PATCH * PATCH, DIRECTIONS, generator=generator)
    return F.normalize(directions, dim=0)


def _projections(patches: torch.Tensor, directions: torch.Tensor) -> torch.Tensor:
    """(P, 3, 49) → each direction's projections in order, (directions, P)."""
    return (patches.flatten(1) @ directions).t().contiguous().sort(dim=1).values
