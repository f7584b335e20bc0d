"""Random crops of the training images, the same for the same seed and step."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.devices import to_device_async
from pipeline.params import TrainParams

LoadImages = Callable[[Sequence[int]], tuple[Tensor, Sequence[int]]]
"""Indices of images → `(N, H, W, 3) uint8` that holds them, and the position of each in it."""

MID_LEVEL = 127.5
LOG2_GAINS = (-1.0, 1.5)
"""Range of log2 of a channel's gain: from half the contrast to 2.8 times, where many levels end
beyond 0 or 255 and so become flat."""
LARGEST_SHIFT = 96.0
"""Levels of 255 by which a channel becomes brighter or darker: a bright or dark one gets flat."""
LEAST_DETAIL = 0.1
"""Levels added to each crop's detail: where all candidates are flat, each can be chosen."""


@dataclass(frozen=True)
class RandomCrops:
    """Batches of random crops from `count` images.

    A batch is a function of seed and step alone: no position needs to be saved, and a resumed
    training sees the batches of an uninterrupted one. Of several `processes` that train together,
    each draws all of a batch and loads the part of its `rank`.

    Of so many `candidates` per image one is kept, with a probability proportional to its `detail`:
    flat crops, frequent in drawings, teach little. With `turns` crops are rotated by quarters. Of
    the crops a share of `recolour` gets other colours.
    """

    load: LoadImages
    count: int
    crop: int
    """pixels"""
    batch: int
    seed: int
    rank: int = 0
    processes: int = 1
    candidates: int = 1
    turns: bool = False
    recolour: float = 0.0

    @staticmethod
    def from_params(
        params: TrainParams, load: LoadImages, count: int, rank: int = 0, processes: int = 1
    ) -> "RandomCrops":
        """Return the crops that a training with `params` sees of `count` images."""
        return RandomCrops(
            load,
            count,
            params.crop,
            params.batch,
            params.seed,
            rank,
            processes,
            params.crop_candidates,
            params.turns,
            params.recolour,
        )

    def __call__(self, step: int) -> Tensor:
        """Return the batch of a step, `(batch, 3, crop, crop) uint8`, channels last.

        Steps are counted from 0. Every image comes once in each epoch, in an order drawn for it.
        """
        random = np.random.default_rng((self.seed, step))
        # Per candidate: down, right, and whether it is mirrored.
        positions = random.random((self.batch, self.candidates, 3))
        choices = random.random(self.batch)
        quarters = random.integers(4, size=self.batch)
        part = self.batch // self.processes
        own = slice(self.rank * part, (self.rank + 1) * part)
        samples = range(step * self.batch, (step + 1) * self.batch)[own]
        images, owners = self.load([self._image_index(sample) for sample in samples])
        crops = self._crop(images, owners, positions[own, :, :2])
        mirrored = _to_device(images.device, positions[own, :, 2].ravel() < 0.5)
        if self.candidates > 1:
            chosen = self._choose(crops, _to_device(images.device, choices[own]))
            crops, mirrored = crops[chosen], mirrored[chosen]
        crops = _select(mirrored, crops.flip(3), crops)
        if self.turns:
            crops = rotate(crops, _to_device(images.device, quarters[own]))
        if self.recolour:
            colours = _draw_colours(random, self.batch, self.recolour)
            crops = recolour_levels(
                crops, *(_to_device(images.device, values[own]) for values in colours)
            )
        return crops.contiguous(memory_format=torch.channels_last)

    def _crop(self, images: Tensor, owners: Sequence[int], positions: np.ndarray) -> Tensor:
        """Return crops of the images at `owners`, `(N · candidates, 3, crop, crop)`.

        `positions (N, candidates, 2) in [0, 1)` are shares of the range of top and left. All are
        cut by a few operations, however many they are, because each operation costs a GPU the same.
        """
        windows = images.unfold(1, self.crop, 1).unfold(2, self.crop, 1).movedim(3, 5)
        corners = (positions * windows.shape[1:3]).astype(np.int64).reshape(-1, 2)
        repeated = np.repeat(np.asarray(owners, np.int64), self.candidates)
        selected = _to_device(images.device, np.column_stack([repeated, corners]))
        return windows[selected.unbind(1)].permute(0, 3, 1, 2)

    def _choose(self, crops: Tensor, choices: Tensor) -> Tensor:
        """Return the index of the crop that is kept of each image: `(N,) int64`.

        It is the first at which the cumulated share of detail reaches `choices (N,) in [0, 1)`.
        """
        details = detail(crops).view(-1, self.candidates) + LEAST_DETAIL
        cumulated = details.cumsum(1) / details.sum(1, keepdim=True)
        chosen = (cumulated < choices.to(cumulated)[:, None]).sum(1).clamp(max=self.candidates - 1)
        return torch.arange(len(chosen), device=chosen.device) * self.candidates + chosen

    def _image_index(self, sample: int) -> int:
        epoch, position = divmod(sample, self.count)
        return int(_permutation(self.seed, epoch, self.count)[position])


def rotate(crops: Tensor, quarters: Tensor) -> Tensor:
    """Rotate `(N, C, side, side)` counter-clockwise by `quarters (N,)`, each 0 to 3."""
    crops = _select(quarters % 2 == 1, crops.transpose(2, 3), crops)
    crops = _select((quarters == 1) | (quarters == 2), crops.flip(2), crops)
    return _select(quarters >= 2, crops.flip(3), crops)


def recolour_levels(crops: Tensor, channels: Tensor, gains: Tensor, shifts: Tensor) -> Tensor:
    """Exchange the channels of `(N, 3, H, W) uint8`, and stretch and shift their levels.

    Each result's channel is `gain · (level - mid) + mid + shift`, `mid` being 127.5, of the crop's
    channel that `channels` names; all three are `(N, 3)`. Results are clamped to [0, 255].
    """
    index = torch.arange(len(crops), device=crops.device)[:, None]
    levels = crops[index, channels].float() - MID_LEVEL
    stretched = torch.addcmul(shifts[..., None, None] + MID_LEVEL, levels, gains[..., None, None])
    return stretched.round().clamp(0, 255).to(crops.dtype)


def detail(crops: Tensor) -> Tensor:
    """Return the mean absolute difference from a blur over 4 pixels, `(N,)`.

    Crops are `(N, 3, H, W) uint8`.
    """
    pixels = crops.float()
    blurred = F.interpolate(
        F.avg_pool2d(pixels, 4, ceil_mode=True), crops.shape[2:], mode="bilinear"
    )
    return (pixels - blurred).abs().mean((1, 2, 3))


def _draw_colours(
    random: np.random.Generator, count: int, share: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return channels, gains and shifts of `count` crops; only a `share` of them is changed."""
    unchanged = random.random((count, 1)) >= share
    same = np.broadcast_to(np.arange(3), (count, 3))
    channels = random.permuted(same, axis=1)
    gains = 2 ** random.uniform(*LOG2_GAINS, (count, 3))
    shifts = random.uniform(-LARGEST_SHIFT, LARGEST_SHIFT, (count, 3))
    return (
        np.where(unchanged, same, channels),
        np.where(unchanged, 1, gains).astype(np.float32),
        np.where(unchanged, 0, shifts).astype(np.float32),
    )


def _to_device(device: torch.device, values: np.ndarray) -> Tensor:
    return to_device_async(torch.from_numpy(values), device)


def _select(condition: Tensor, crops: Tensor, others: Tensor) -> Tensor:
    return torch.where(condition[:, None, None, None], crops, others)


@lru_cache(maxsize=8)
def _permutation(seed: int, epoch: int, count: int) -> np.ndarray:
    """Return the order of the images in one epoch."""
    return np.random.default_rng((seed, epoch, count)).permutation(count)
