"""Random crops of the training images, the same for the same seed and step."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.devices import sent

Load = Callable[[Sequence[int]], tuple[Tensor, Sequence[int]]]
"""Numbers of images → a stack `(N, H, W, 3) uint8` that has them, and their places in it."""

MID_LEVEL = 127.5
# A channel in two loses contrast or becomes flat in parts; shifts do that to bright or dark ones.
LOG2_GAINS = (-1.0, 1.5)
LARGEST_SHIFT = 96.0
"""levels of 255"""


@dataclass(frozen=True)
class Patches:
    """Batches of random crops from the `count` images that `load` gives.

    A batch is a function of seed and step alone: there is no position to save, and training that
    goes on at a step sees what it would have seen. Of `share` = (rank, size) processes that train
    together, each draws all of a batch and loads its own part of it.

    Of so many `candidates` in an image one is kept, the likelier the more `detail` it has: flat
    ones, which drawings are full of, have nothing to teach. With `turns` crops are also turned by
    quarters. A share of them, `recolour`, get other colours.
    """

    load: Load
    count: int
    crop: int
    batch: int
    seed: int
    share: tuple[int, int] = (0, 1)
    candidates: int = 1
    turns: bool = False
    recolour: float = 0.0

    def __call__(self, step: int) -> Tensor:
        """The batch of a step, counted from 0: `(batch, 3, crop, crop) uint8`, channels last.

        Every image is met once in each pass, in an order drawn for the pass.
        """
        random = np.random.default_rng((self.seed, step))
        places = random.random((self.batch, self.candidates, 3))
        choices = random.random(self.batch)
        quarters = random.integers(4, size=self.batch)
        rank, size = self.share
        part = self.batch // size
        own = slice(rank * part, (rank + 1) * part)
        numbers = range(step * self.batch, (step + 1) * self.batch)[own]
        stack, owners = self.load([self._image(number) for number in numbers])
        crops = self._cut(stack, owners, places[own, :, :2])
        mirrored = _on(stack.device, places[own, :, 2].ravel() < 0.5)
        if self.candidates > 1:
            chosen = self._chosen(crops, _on(stack.device, choices[own]))
            crops, mirrored = crops[chosen], mirrored[chosen]
        crops = _where(mirrored, crops.flip(3), crops)
        if self.turns:
            crops = turned(crops, _on(stack.device, quarters[own]))
        if self.recolour:
            draws = _drawn_colours(random, self.batch, self.recolour)
            crops = recoloured(crops, *(_on(stack.device, drawn[own]) for drawn in draws))
        return crops.contiguous(memory_format=torch.channels_last)

    def _cut(self, stack: Tensor, owners: Sequence[int], places: np.ndarray) -> Tensor:
        """Crops of `owners`, each one's after the other: `(N · candidates, 3, crop, crop)`.

        They lie at `places` `(N, candidates, 2)`: shares of the free way down and to the right. All
        are cut at once, in a few operations however many they are, because each costs a GPU the
        same.
        """
        windows = stack.unfold(1, self.crop, 1).unfold(2, self.crop, 1).movedim(3, 5)
        corners = (places * windows.shape[1:3]).astype(np.int64).reshape(-1, 2)
        images = np.repeat(np.asarray(owners, np.int64), self.candidates)
        numbers = _on(stack.device, np.column_stack([images, corners]))
        return windows[numbers.unbind(1)].permute(0, 3, 1, 2)

    def _chosen(self, crops: Tensor, choices: Tensor) -> Tensor:
        """Which crop of each image is kept: at which its share of all their detail is passed."""
        # A little more than none, so that one of several flat ones can be chosen.
        details = detail(crops).view(-1, self.candidates) + 0.1
        passed = details.cumsum(1) / details.sum(1, keepdim=True)
        chosen = (passed < choices.to(passed)[:, None]).sum(1).clamp(max=self.candidates - 1)
        return torch.arange(len(chosen), device=chosen.device) * self.candidates + chosen

    def _image(self, index: int) -> int:
        passed, position = divmod(index, self.count)
        return int(_order(self.seed, passed, self.count)[position])


def turned(crops: Tensor, quarters: Tensor) -> Tensor:
    """`(N, C, side, side)`, each turned counter-clockwise by so many `quarters`: `(N,)`, 0 to 3."""
    crops = _where(quarters % 2 == 1, crops.transpose(2, 3), crops)
    crops = _where((quarters == 1) | (quarters == 2), crops.flip(2), crops)
    return _where(quarters >= 2, crops.flip(3), crops)


def recoloured(crops: Tensor, channels: Tensor, gains: Tensor, shifts: Tensor) -> Tensor:
    """`(N, 3, H, W) uint8` with channels exchanged, and levels stretched and shifted.

    Each result's channel is `gain · (level - mid) + mid + shift`, `mid` being 127.5, of the crop's
    channel that `channels` names; all three are `(N, 3)`. What leaves [0, 255] becomes flat.
    """
    number = torch.arange(len(crops), device=crops.device)[:, None]
    levels = crops[number, channels].float() - MID_LEVEL
    stretched = torch.addcmul(shifts[..., None, None] + MID_LEVEL, levels, gains[..., None, None])
    return stretched.round().clamp(0, 255).to(crops.dtype)


def _drawn_colours(
    random: np.random.Generator, count: int, share: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Channels, gains and shifts of `count` crops, of which `share` are not left as they are."""
    left = random.random((count, 1)) >= share
    same = np.broadcast_to(np.arange(3), (count, 3))
    channels = random.permuted(same, axis=1)
    gains = 2 ** random.uniform(*LOG2_GAINS, (count, 3))
    shifts = random.uniform(-LARGEST_SHIFT, LARGEST_SHIFT, (count, 3))
    return (
        np.where(left, same, channels),
        np.where(left, 1, gains).astype(np.float32),
        np.where(left, 0, shifts).astype(np.float32),
    )


def _on(device: torch.device, values: np.ndarray) -> Tensor:
    tensor = torch.from_numpy(values)
    return sent(tensor, device) if device.type == "cuda" else tensor


def _where(chosen: Tensor, crops: Tensor, others: Tensor) -> Tensor:
    return torch.where(chosen[:, None, None, None], crops, others)


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
