"""How fast a training is: images and operations per second."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from pipeline.params import TrainParams
from pipeline.training.distributed import SINGLE_PROCESS, Group
from pipeline.training.operations import product_rate, step_operations
from pipeline.training.schedules import resolved_pretrain_steps

TERA = 10**12


@dataclass
class Throughput:
    """The speed of the steps since this process began to take them, validations included."""

    batch: int
    steps: int
    """of the whole training"""
    pretrain_steps: int
    """steps without the discriminator: all, where there is none"""
    pretraining_operations: int
    """of one of those steps"""
    adversarial_operations: int
    """of one of the others"""
    peak: float | None
    """operations per second of large matrix products on the devices; None: not measured"""
    _first_step: int = 0
    _started: float = field(default_factory=time.monotonic)

    @staticmethod
    def of(
        params: TrainParams,
        steps: int,
        device: torch.device,
        precision: str,
        group: Group = SINGLE_PROCESS,
    ) -> "Throughput":
        """Count the operations of `params`' steps, and measure the peak of a CUDA device.

        `steps` are all of the training. The peak is that of all devices of `group`, taken to be
        alike.
        """
        adversarial = params.adv_weight > 0
        return Throughput(
            params.batch,
            steps,
            resolved_pretrain_steps(params, steps) if adversarial else steps,
            step_operations(params, adversarial=False),
            step_operations(params, adversarial=True) if adversarial else 0,
            group.size * product_rate(device, precision) if device.type == "cuda" else None,
        )

    def start(self, step: int) -> None:
        """Begin to measure, after `step` steps."""
        self._first_step, self._started = step, time.monotonic()

    def figures(self, step: int) -> Mapping[str, float]:
        """Return `images/s`, `TFLOP/s` and, where the peak is known, `MFU`, the share of it.

        MFU is model FLOPs utilisation (Chowdhery et al. 2022, "PaLM", appendix B), here of a
        measured peak. Empty before the first step.
        """
        rates = self._rates(step)
        if rates is None:
            return {}
        images, operations = rates
        figures = {"images/s": images, "TFLOP/s": operations / TERA}
        return figures if self.peak is None else figures | {"MFU": operations / self.peak}

    def status(self, step: int) -> Mapping[str, float]:
        """Return `images_per_second` and `seconds_left`, by the operations of the steps to come.

        By their number, pre-training would seem to be followed by steps as fast as its own. Empty
        before the first step.
        """
        rates = self._rates(step)
        if rates is None:
            return {}
        images, operations = rates
        return {
            "images_per_second": images,
            "seconds_left": self._operations(step, self.steps) / operations,
        }

    def _rates(self, step: int) -> tuple[float, float] | None:
        """Return images and operations per second, or None before the first step."""
        steps, seconds = step - self._first_step, time.monotonic() - self._started
        if steps == 0 or seconds == 0:
            return None
        return steps * self.batch / seconds, self._operations(self._first_step, step) / seconds

    def _operations(self, first: int, last: int) -> int:
        """Return the operations of the steps after `first` of them, up to `last`."""
        pretraining = max(min(last, self.pretrain_steps) - first, 0)
        adversarial = last - first - pretraining
        return pretraining * self.pretraining_operations + adversarial * self.adversarial_operations
