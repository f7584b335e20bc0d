"""Random crops of the training images, the same for the same seed and step."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import psutil
import torch
from torch import Tensor

from pipeline.images.shards import read_image, read_images
from pipeline.manifest import Row

# The rest of the memory is for the networks, their gradients and the system.
MEMORY_SHARE = 0.5

Load = Callable[[int], np.ndarray]


@dataclass(frozen=True)
class Patches:
    """Batches of random crops from `count` images; `load` gives an image as `(H, W, 3) uint8`.

    A batch is a function of seed and step alone: there is no position to save, and training that
    goes on at a step sees what it would have seen.
    """

    load: Load
    count: int
    crop: int
    batch: int
    seed: int

    def __call__(self, step: int) -> Tensor:
        """The batch of a step, counted from 0: `(batch, 3, crop, crop) uint8`, channels last.

        Every image is met once in each pass, in an order drawn for the pass.
        """
        random = np.random.default_rng((self.seed, step))
        first = step * self.batch
        crops = [
            self._crop(self.load(self._image(first + index)), random) for index in range(self.batch)
        ]
        return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2)

    def _image(self, index: int) -> int:
        passed, position = divmod(index, self.count)
        return int(_order(self.seed, passed, self.count)[position])

    def _crop(self, image: np.ndarray, random: np.random.Generator) -> np.ndarray:
        height, width = image.shape[:2]
        top = random.integers(height - self.crop + 1)
        left = random.integers(width - self.crop + 1)
        patch = image[top : top + self.crop, left : left + self.crop]
        return patch[:, ::-1] if random.random() < 0.5 else patch


@lru_cache(maxsize=2)
def _order(seed: int, passed: int, count: int) -> np.ndarray:
    """The order of the images in one pass; two passes meet in a batch at most."""
    return np.random.default_rng((seed, passed, count)).permutation(count)


def image_source(folder: Path, rows: Sequence[Row], size: int) -> tuple[Load, bool]:
    """How the images of `rows`, `size` pixels square, are read, and whether all are in memory.

    They are decoded once where they fit into half of the free memory, else each time.
    """
    needed = len(rows) * size * size * 3
    if needed <= psutil.virtual_memory().available * MEMORY_SHARE:
        return read_images(folder, rows).__getitem__, True
    return lambda index: read_image(folder, rows[index]), False
