"""Random crops of the training images, the same for the same seed and step."""

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

Load = Callable[[int], Tensor]


@dataclass(frozen=True)
class Patches:
    """Batches of random crops from `count` images; `load` gives an image as `(H, W, 3) uint8`.

    A batch is a function of seed and step alone: there is no position to save, and training that
    goes on at a step sees what it would have seen. Of `share` = (rank, size) processes that train
    together, each draws all of a batch and loads its own part of it.

    Of so many `candidates` in an image one is kept, the likelier the more `detail` it has: flat
    ones, which drawings are full of, have nothing to teach. With `turns` crops are also turned by
    quarters.
    """

    load: Load
    count: int
    crop: int
    batch: int
    seed: int
    share: tuple[int, int] = (0, 1)
    candidates: int = 1
    turns: bool = False

    def __call__(self, step: int) -> Tensor:
        """The batch of a step, counted from 0: `(batch, 3, crop, crop) uint8`, channels last.

        Every image is met once in each pass, in an order drawn for the pass.
        """
        random = np.random.default_rng((self.seed, step))
        places = random.random((self.batch, self.candidates, 3))
        choices = torch.from_numpy(random.random(self.batch))
        quarters = random.integers(4, size=self.batch)
        rank, size = self.share
        part = self.batch // size
        own = range(rank * part, (rank + 1) * part)
        drawn = [
            crop for index in own for crop in self._crops(step * self.batch + index, places[index])
        ]
        crops = torch.stack(drawn).permute(0, 3, 1, 2)
        if self.candidates > 1:
            crops = self._chosen(crops, choices[list(own)])
        return _turned(crops, quarters[list(own)]) if self.turns else crops

    def _chosen(self, crops: Tensor, choices: Tensor) -> Tensor:
        """Of each image's candidates the one at which its share of all their detail is passed."""
        # A little more than none, so that one of several flat ones can be chosen.
        details = detail(crops).view(-1, self.candidates) + 0.1
        passed = details.cumsum(1) / details.sum(1, keepdim=True)
        chosen = (passed < choices.to(passed)[:, None]).sum(1).clamp(max=self.candidates - 1)
        firsts = torch.arange(len(chosen), device=chosen.device) * self.candidates
        return crops[firsts + chosen]

    def _image(self, index: int) -> int:
        passed, position = divmod(index, self.count)
        return int(_order(self.seed, passed, self.count)[position])

    def _crops(self, index: int, places: np.ndarray) -> list[Tensor]:
        image = self.load(self._image(index))
        return [self._crop(image, *place) for place in places]

    def _crop(self, image: Tensor, down: float, right: float, mirror: float) -> Tensor:
        """The crop at these shares of the free way, mirrored in half of the cases."""
        height, width = image.shape[:2]
        top = int(down * (height - self.crop + 1))
        left = int(right * (width - self.crop + 1))
        patch = image[top : top + self.crop, left : left + self.crop]
        return patch.flip(1) if mirror < 0.5 else patch


def _turned(crops: Tensor, quarters: np.ndarray) -> Tensor:
    turned = [crop.rot90(int(turns), (1, 2)) for crop, turns in zip(crops, quarters, strict=True)]
    return torch.stack(turned).contiguous(memory_format=torch.channels_last)


def detail(crops: Tensor) -> Tensor:
    """How far `(N, 3, H, W) uint8` are, in mean, from themselves blurred over 4 pixels: `(N,)`."""
    pixels = crops.float()
    blurred = F.interpolate(
        F.avg_pool2d(pixels, 4, ceil_mode=True), crops.shape[2:], mode="bilinear"
    )
    return (pixels - blurred).abs().mean((1, 2, 3))


@lru_cache(maxsize=8)
def _order(seed: int, passed: int, count: int) -> np.ndarray:
    """The order of the images in one pass."""
    return np.random.default_rng((seed, passed, count)).permutation(count)


class Prefetched:
    """Batches that threads make while the steps before them are taken.

    `make` gives the batch of a step; each of `workers` threads (0: one a core) makes one at a time.
    """

    def __init__(self, make: Callable[[int], Tensor], workers: int = 0) -> None:
        self._make, self._workers = make, workers or os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self._workers)
        self._ahead: dict[int, Future[Tensor]] = {}

    def __call__(self, step: int) -> Tensor:
        """The batch of a step, and a start on those after it. Raises what `make` raises."""
        for later in range(step, step + 2 * self._workers):
            if later not in self._ahead:
                self._ahead[later] = self._pool.submit(self._make, later)
        return self._ahead.pop(step).result()

    def close(self) -> None:
        """Give up what was begun."""
        self._pool.shutdown(cancel_futures=True)
