"""Networks and optimisers of a training, and how they change."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from pipeline.networks import Generator
from pipeline.params import TrainParams
from pipeline.training.build import (
    build_adam,
    build_discriminator,
    build_generator,
    build_optimisers,
)
from pipeline.training.checkpoint_checks import indexed_parameters
from pipeline.training.distributed import SINGLE_PROCESS, Group, sync_batch_norm
from pipeline.training.loss_scale import LossScale

M = TypeVar("M", bound=nn.Module)


@dataclass(frozen=True)
class Adversary:
    """The discriminator and its optimiser."""

    network: nn.Module
    optimiser: Optimizer
    loss_scale: LossScale | None = None
    """in fp16 alone"""


@dataclass
class State:
    """Networks and optimisers after `step` steps."""

    generator: Generator
    ema: Generator
    """the exponential moving average of `generator`: what is validated and saved"""
    optimisers: Mapping[str, Optimizer]
    """of the generator, by their keys in a checkpoint: `adam`, and `muon` for convolutions"""
    adversary: Adversary | None
    step: int = 0
    skips: Tensor = field(default_factory=lambda: torch.zeros(2, dtype=torch.int64))
    """how many steps did not update the generator: in all, and since one did; on the device"""
    loss_scale: LossScale | None = None
    """of the generator's loss, in fp16 alone"""

    @property
    def skipped(self) -> int:
        """How many of the steps did not update the generator."""
        return int(self.skips[0])

    @torch.no_grad()
    def count_skipped(self, updated: Tensor) -> None:
        """Count one more step; `updated () bool` is False where it left the generator as it was."""
        skipped = (~updated).long()
        in_all, in_a_row = self.skips.unbind()
        in_all.add_(skipped)
        in_a_row.add_(1).mul_(skipped)

    def parts(self) -> dict[str, nn.Module | Optimizer]:
        """Return networks and optimisers by their keys in a checkpoint."""
        parts: dict[str, nn.Module | Optimizer] = {
            "generator": self.generator,
            # The key under which models are read from checkpoints, those of earlier versions too.
            "average": self.ema,
            **self.optimisers,
        }
        if self.adversary is not None:
            parts["discriminator"] = self.adversary.network
            parts["discriminator_optimiser"] = self.adversary.optimiser
            if self.adversary.loss_scale is not None:
                parts["discriminator_loss_scale"] = self.adversary.loss_scale
        if self.loss_scale is not None:
            parts["loss_scale"] = self.loss_scale
        return parts

    def state_dict(self) -> dict[str, Any]:
        """Return everything as tensors and plain values, which load without pickled code."""
        parts = {name: _part_state(part) for name, part in self.parts().items()}
        return parts | {"step": self.step, "skipped": self.skipped}

    @torch.no_grad()
    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned; `saved` must have been checked, and may hold more.

        Optimisers keep their own settings.
        """
        for name, part in self.parts().items():
            if isinstance(part, Optimizer):
                part.load_state_dict(_with_own_settings(part, saved[name]))
            else:
                part.load_state_dict(saved[name])
        self.step = saved["step"]
        self.skips.copy_(torch.tensor([saved["skipped"], 0]))


class BufferCopies:
    """The buffers of a network before a step, such as the statistics of its batch normalisation."""

    def __init__(self, network: nn.Module | None) -> None:
        self._buffers = [] if network is None else list(network.buffers())
        self._copies = [buffer.clone() for buffer in self._buffers]

    @torch.no_grad()
    def restore_unless(self, updated: Tensor) -> None:
        """Give the buffers their former values where `updated`, `() bool`, is False.

        The device chooses, so that on CUDA the host need not wait for the value.
        """
        for buffer, before in zip(self._buffers, self._copies, strict=True):
            buffer.copy_(torch.where(updated, buffer, before))


def new_state(params: TrainParams, device: torch.device, group: Group = SINGLE_PROCESS) -> State:
    """Return networks drawn from `params.seed`, the discriminator only where its loss has weight.

    Batch normalisations compute over the batches of the whole `group`. Raises `UsageError` where
    the generator of `params.init` is not the one that the params describe.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(params.seed)
        generator = build_generator(params)
        discriminator = build_discriminator(params) if params.adv_weight > 0 else None
    for network in (generator, discriminator):
        sync_batch_norm(network, group)
    ema = copy.deepcopy(generator).requires_grad_(False)
    adversary = None
    if discriminator is not None:
        discriminator = _to_device(discriminator, device)
        adversary = Adversary(
            discriminator,
            build_adam(discriminator.parameters(), params),
            _new_loss_scale(params, device),
        )
    generator = _to_device(generator, device)
    return State(
        generator,
        _to_device(ema, device),
        build_optimisers(generator, params),
        adversary,
        skips=torch.zeros(2, dtype=torch.int64, device=device),
        loss_scale=_new_loss_scale(params, device),
    )


def _new_loss_scale(params: TrainParams, device: torch.device) -> LossScale | None:
    return LossScale().to(device) if params.precision == "fp16" else None


@torch.no_grad()
def update_ema(ema: nn.Module, network: nn.Module, weight: float | Tensor) -> None:
    """Move the weights of `ema` towards those of `network`, all the way with a `weight` of 1.

    Statistics of batch normalisation are averages already and are copied.
    """
    means: list[Tensor] = list(ema.parameters())
    weights: list[Tensor] = list(network.parameters())
    if isinstance(weight, Tensor):
        changes = torch._foreach_sub(weights, means)
        torch._foreach_mul_(changes, weight)
        torch._foreach_add_(means, changes)
    else:
        torch._foreach_lerp_(means, weights, weight)
    for mean, statistic in zip(ema.buffers(), network.buffers(), strict=True):
        mean.copy_(statistic)


def _part_state(part: nn.Module | Optimizer) -> dict[str, Any]:
    """Return the state of a network or an optimiser; learning rates as numbers."""
    saved = part.state_dict()
    if isinstance(part, Optimizer):
        for group in saved["param_groups"]:
            group["lr"] = float(group["lr"])
    return saved


def _with_own_settings(optimiser: Optimizer, saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return saved moments with the settings (β, ε, ...) that `optimiser` has now.

    They are those of the params; the run that is resumed may have had others. Moments get the
    strides of their weights, which the fused Adam takes for granted.
    """
    parameters = dict(indexed_parameters(optimiser))
    moments = {
        index: {
            name: value if name == "step" else torch.empty_like(parameters[index]).copy_(value)
            for name, value in saved_moments.items()
        }
        for index, saved_moments in saved["state"].items()
    }
    return {"state": moments, "param_groups": optimiser.state_dict()["param_groups"]}


def _to_device(network: M, device: torch.device) -> M:
    network.to(device)
    network.to(memory_format=getattr(network, "memory_format", torch.channels_last))
    return network
