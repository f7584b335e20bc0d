"""Random crops of the training images, the same for the same seed and step."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from pipeline.devices import to_device_async
from pipeline.images.sharpening import unsharp
from pipeline.params import TrainParams
from pipeline.training.image_order import ImageOrder
from pipeline.training.pixel_buffer import PixelBuffer


@dataclass(frozen=True)
class LoadedImages:
    """Images, and the position in the buffers of each that was asked for, `(N,) int64`.

    `lr` holds the LR images that are given, at the same positions; None where none are.
    """

    hr: PixelBuffer
    lr: PixelBuffer | None
    positions: NDArray[np.int64]


LoadImages = Callable[[Sequence[int]], LoadedImages]
"""Numbers of images → these images."""


@dataclass(frozen=True)
class Batch:
    """Crops of a step: `hr (N, 3, crop, crop) uint8`, channels last.

    `lr (N, 3, crop/scale, crop/scale) uint8` are the LR crops of those that `has_lr`, and
    meaningless for the others, whose LR is to be made of HR; None where none are given.
    """

    hr: Tensor
    lr: Tensor | None = None
    has_lr: tuple[bool, ...] = ()

    def __len__(self) -> int:
        return len(self.hr)

    @property
    def without_lr(self) -> NDArray[np.int64]:
        """The positions of the crops whose LR is to be made."""
        return np.flatnonzero(~np.array(self.has_lr or (False,) * len(self)))


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
    """Batches of random crops, of images in `order`.

    A batch is a function of seed and step alone: no position needs to be saved, and a resumed
    training sees the batches of an uninterrupted one. Of several `processes` that train together,
    each draws all of a batch and loads the part of its `rank`.

    Of so many `candidates` per image one is kept, with a probability proportional to its `detail`:
    flat crops, frequent in drawings, teach little. With `turns` crops are rotated by quarters. Of
    the crops a share of `recolour` gets other colours. What is done to an HR crop is done to the
    LR crop that is given with it; its corner lies on a multiple of the `scale`. At the end HR crops
    are sharpened, so that LR which is made of them shows it.
    """

    load: LoadImages
    order: ImageOrder
    crop: int
    """pixels"""
    batch: int
    seed: int
    rank: int = 0
    processes: int = 1
    candidates: int = 1
    turns: bool = False
    recolour: float = 0.0
    scale: int = 4
    sharpen: float = 0.0

    @staticmethod
    def from_params(
        params: TrainParams, load: LoadImages, order: ImageOrder, rank: int = 0, processes: int = 1
    ) -> "RandomCrops":
        """Return the crops that a training with `params` sees."""
        return RandomCrops(
            load,
            order,
            params.crop,
            params.batch,
            params.seed,
            rank,
            processes,
            params.crop_candidates,
            params.turns,
            params.recolour,
            params.scale,
            params.sharpen,
        )

    def __call__(self, step: int) -> Batch:
        """Return the batch of a step; steps are counted from 0."""
        random = np.random.default_rng((self.seed, step))
        # Per candidate: down, right, and whether it is mirrored.
        positions = random.random((self.batch, self.candidates, 3))
        choices = random.random(self.batch)
        quarters = random.integers(4, size=self.batch)
        colours = _draw_colours(random, self.batch, self.recolour) if self.recolour else ()
        part = self.batch // self.processes
        own = slice(self.rank * part, (self.rank + 1) * part)
        samples = range(step * self.batch, (step + 1) * self.batch)[own]
        images = self.load([self.order.image(sample) for sample in samples])
        has_lr = _has_lr(images)
        hr, *lr = self._cut(images, has_lr, positions[own, :, :2])
        device = hr.device
        mirrored = _to_device(device, positions[own, :, 2].ravel() < 0.5)
        if self.candidates > 1:
            chosen = self._choose(hr, _to_device(device, choices[own]))
            hr, mirrored, lr = hr[chosen], mirrored[chosen], [crops[chosen] for crops in lr]
        turns = _to_device(device, quarters[own]) if self.turns else None
        drawn = [_to_device(device, values[own]) for values in colours]
        hr, *lr = (_augment(crops, mirrored, turns, drawn) for crops in (hr, *lr))
        if self.sharpen:
            hr = unsharp(hr, self.sharpen).contiguous(memory_format=torch.channels_last)
        return Batch(hr, lr[0], tuple(has_lr.tolist())) if lr else Batch(hr)

    def _cut(
        self, images: LoadedImages, has_lr: NDArray[np.bool_], positions: NDArray[np.float64]
    ) -> list[Tensor]:
        """Return the HR crops of all images, and their LR crops if any are given.

        Both are `(N · candidates, 3, side, side)`. `positions (N, candidates, 2) in [0, 1)` are
        shares of the range of top and left.
        """
        numbers = images.positions
        grids = np.where(has_lr, self.scale, 1)[:, None]
        rooms = (images.hr.sizes[numbers] - self.crop) // grids + 1
        corners = (positions * rooms[:, None]).astype(np.int64)
        repeated = np.repeat(numbers, self.candidates)
        hr_corners = (corners * grids[:, None]).reshape(-1, 2)
        crops = [images.hr.cut(repeated, hr_corners, self.crop)]
        if images.lr is not None and has_lr.any():
            # Where there is no LR image, the corner of another's is cut, and not used.
            some = numbers[has_lr][0]
            repeated = np.repeat(np.where(has_lr, numbers, some), self.candidates)
            lr_corners = np.where(has_lr[:, None, None], corners, 0).reshape(-1, 2)
            crops.append(images.lr.cut(repeated, lr_corners, self.crop // self.scale))
        return crops

    def _choose(self, crops: Tensor, choices: Tensor) -> Tensor:
        """Return the index of the crop that is kept of each image: `(N,) int64`.

        It is the first at which the cumulated share of detail reaches `choices (N,) in [0, 1)`.
        """
        details = detail(crops).view(-1, self.candidates) + LEAST_DETAIL
        cumulated = details.cumsum(1) / details.sum(1, keepdim=True)
        chosen = (cumulated < choices.to(cumulated)[:, None]).sum(1).clamp(max=self.candidates - 1)
        return torch.arange(len(chosen), device=chosen.device) * self.candidates + chosen


def _has_lr(images: LoadedImages) -> NDArray[np.bool_]:
    """Return whether an LR image is given, for each image that was asked for: `(N,)`."""
    if images.lr is None:
        return np.zeros(len(images.positions), np.bool_)
    has_lr: NDArray[np.bool_] = images.lr.sizes[images.positions, 0] > 0
    return has_lr


def _augment(
    crops: Tensor, mirrored: Tensor, turns: Tensor | None, colours: Sequence[Tensor]
) -> Tensor:
    """Mirror, turn and recolour crops as was drawn for them."""
    crops = _select(mirrored, crops.flip(3), crops)
    if turns is not None:
        crops = rotate(crops, turns)
    if colours:
        crops = recolour_levels(crops, *colours)
    return crops.contiguous(memory_format=torch.channels_last)


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
