"""LR crops, made of the HR crops that none is given for."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.devices import to_device_async
from pipeline.images.degradation import degradation_of, make_lr
from pipeline.params import TrainParams
from pipeline.params.degradation import ChainStrengths, Degradation
from pipeline.training.crops import Batch


@dataclass(frozen=True)
class LrCrops:
    """Makes LR of HR crops: a function of seed, step and position in the batch.

    Of several processes that train together, one of this `rank` has its part of every batch.
    """

    scale: int
    degradation: Degradation | ChainStrengths
    seed: int
    rank: int = 0

    @staticmethod
    def from_params(params: TrainParams, rank: int = 0) -> "LrCrops":
        """Return what makes the LR crops of a training with `params`. Raises `UsageError`."""
        degradation = degradation_of(params.degradation, params.degradation_strengths)
        return LrCrops(params.scale, degradation, params.seed, rank)

    @property
    def on_host(self) -> bool:
        """Whether LR is computed by the host, whatever trains."""
        return self.degradation != "none"

    @property
    def is_chain(self) -> bool:
        """Whether LR takes so long that threads make it, while the steps before are taken."""
        return isinstance(self.degradation, ChainStrengths)

    def __call__(self, hr: Tensor, made: NDArray[np.int64], step: int) -> Tensor:
        """Return LR of those crops of `hr (N, 3, side, side) uint8` at the positions `made`."""
        first = self.rank * len(hr)
        seeds = [(self.seed, step, first + int(index)) for index in made]
        if len(made) < len(hr):
            hr = hr[to_device_async(torch.from_numpy(made), hr.device)]
        return make_lr(hr, self.scale, self.degradation, seeds, cut_out=True)


@dataclass(frozen=True)
class DegradedBatches:
    """Batches of crops on the host, with LR of all of them."""

    crops: Callable[[int], Batch]
    """step → batch"""
    lr_crops: LrCrops

    def __call__(self, step: int) -> Batch:
        """Return the batch of a step; steps are counted from 0."""
        batch = self.crops(step)
        made = batch.without_lr
        if not len(made):
            return batch
        lr = self.lr_crops(batch.hr, made, step)
        if batch.lr is not None:
            lr = batch.lr.index_copy(0, torch.from_numpy(made), lr)
        return replace(batch, lr=lr, has_lr=(True,) * len(batch))
