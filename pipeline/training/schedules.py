"""Learning rate, loss weights and phases by step."""

import math
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from pipeline.params import TrainParams
from pipeline.params.generator import SRResNetParams

Scalar = float | Tensor
"""a number, or `() float` on the device: a CUDA graph reads it anew at each replay"""


def resolved_ema_decay(params: TrainParams) -> float:
    """Return the decay of the generator's moving average, resolving `train.ema: null`."""
    if params.ema is not None:
        return params.ema
    generator = params.generator
    normalised = isinstance(generator, SRResNetParams) and generator.norm == "batch"
    return 0.0 if normalised else 0.999


def resolved_pretrain_steps(params: TrainParams, steps: int) -> int:
    """Return how many of `steps` have no discriminator, resolving `train.pretrain_steps: null`."""
    return steps // 5 if params.pretrain_steps is None else params.pretrain_steps


class StepScalars(NamedTuple):
    """What the schedule sets for a step."""

    learning_rate: Scalar
    ema_weight: Scalar
    """the part of the new weights in their moving average"""
    adversarial_weight: Scalar


@dataclass(frozen=True)
class Schedule:
    """What changes with the step, counted from 0, in a training of `steps` steps."""

    params: TrainParams
    steps: int

    @property
    def pretrain_steps(self) -> int:
        """The first step with a discriminator."""
        return resolved_pretrain_steps(self.params, self.steps)

    def scalars(self, step: int) -> StepScalars:
        """Return all that is set for a step."""
        return StepScalars(
            self.learning_rate(step), self.ema_weight(step), self.adversarial_weight(step)
        )

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of a step: constant, or a cosine from `lr` to 0."""
        if self.params.lr_schedule == "constant":
            return self.params.lr
        return self.params.lr * (1 + math.cos(math.pi * step / self.steps)) / 2

    def ema_weight(self, step: int) -> float:
        """Return the new weights' part in their moving average, 1 - decay.

        It is larger in the first steps, so that the random start is soon forgotten: as TensorFlow's
        `ExponentialMovingAverage` with `num_updates`.
        """
        return 1 - min(resolved_ema_decay(self.params), (1 + step) / (10 + step))

    def adversarial_weight(self, step: int) -> float:
        """Return `adv_weight`, reached linearly over the warm-up after pre-training."""
        if not self.params.warmup_steps:
            return self.params.adv_weight
        done = (step - self.pretrain_steps + 1) / self.params.warmup_steps
        return self.params.adv_weight * min(1.0, done)
