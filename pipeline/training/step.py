"""One step of SRGAN's training (Ledig et al. 2017): the discriminator's update, then the
generator's."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim import Optimizer

from pipeline.devices import sent
from pipeline.images.degradation import make_lr
from pipeline.networks.perceptual.vgg import VGG16Features
from pipeline.params import TrainParams
from pipeline.training.distributed import ALONE, Group
from pipeline.training.graphs import Graphed
from pipeline.training.losses import (
    adversarial_loss,
    content_loss,
    discriminator_loss,
    pixel_loss,
)
from pipeline.training.state import Adversary, State, update_average

Terms = Mapping[str, Tensor]
Rate = float | Tensor

_UPDATED = "updated"


def average_decay(params: TrainParams) -> float:
    """Return the decay of the averaged generator that `train.ema` stands for."""
    if params.ema is not None:
        return params.ema
    normalised = params.generator == "srresnet" and params.norm == "batch"
    return 0.0 if normalised else 0.999


def pretrain_steps(params: TrainParams, steps: int) -> int:
    """Return after how many of `steps` the discriminator joins."""
    return steps // 5 if params.pretrain_steps is None else params.pretrain_steps


class StepKind(NamedTuple):
    """What a step computes beside the pixel loss."""

    adversarial: bool
    measures_gradients: bool


@dataclass(frozen=True)
class StepResult:
    """The terms of the loss after one step, and whether the generator moved: `() bool`.

    Where a loss or its gradients were not finite, what they would have updated stayed as it was.
    On CUDA the host has not waited for the step: reading a value does.
    """

    terms: Terms
    updated: Tensor


@dataclass(frozen=True)
class Updates:
    """How `state` moves by one of `steps`; without a discriminator there may be no `vgg`.

    On CUDA nothing in a step waits for the card, and one process alone replays each kind of step as
    a CUDA graph, unless it is not to be `graphed`.
    """

    params: TrainParams
    steps: int
    state: State
    vgg: VGG16Features | None
    device: torch.device
    bf16: bool
    group: Group = ALONE
    graphed: bool = True
    report: Callable[[str], None] = print
    """called with a line where graphs cannot be used"""

    def __call__(self, hr_levels: Tensor) -> StepResult:
        """Take one step on `(N, 3, H, W) uint8` originals; both networks see the same fake."""
        step = self.state.step
        if self.device.type == "cuda":
            hr_levels = sent(hr_levels, self.device)
        first = self.group.rank * len(hr_levels)
        seeds = [(self.params.seed, step, first + index) for index in range(len(hr_levels))]
        lr_levels = make_lr(
            hr_levels, self.params.scale, self.params.degradation, seeds, cut_out=True
        )
        adversarial = self.state.adversary is not None and step >= self._pretrain_steps
        if adversarial and step == self._pretrain_steps:
            # Adam remembers the pixel loss's faint gradients; measured against those, the first
            # ones of features would move the weights many times too far.
            for optimiser in self.state.optimisers:
                optimiser.state.clear()
        measures = adversarial and (step + 1) % self.params.log_every == 0
        terms = dict(
            self._run(StepKind(adversarial, measures), hr_levels, lr_levels, self._rates(step))
        )
        self.state.step = step + 1
        return StepResult(terms, terms.pop(_UPDATED))

    @cached_property
    def _run(self) -> Callable[..., Mapping[str, Tensor]]:
        if self.graphed and self.device.type == "cuda" and self.group.size == 1:
            return Graphed(self._step, self.device, self.report)
        return self._step

    def _step(
        self, kind: StepKind, hr_levels: Tensor, lr_levels: Tensor, rates: Iterable[Rate]
    ) -> Mapping[str, Tensor]:
        """Return the terms of the loss, and under `_UPDATED` whether the generator moved."""
        learning_rate, average_weight, adversarial_weight = rates
        lr, hr = self._as_input(lr_levels), self._as_input(hr_levels)
        with self._autocast():
            sr = self.state.generator(lr).float()
        allowed = torch.ones((), dtype=torch.bool, device=self.device)
        if kind.adversarial:
            terms, allowed = self._update_discriminator(hr, sr.detach(), learning_rate)
            loss, more = self._srgan_loss(kind, hr, sr, adversarial_weight)
            terms |= more
        else:
            loss = pixel_loss(self.params.loss_without_adv, sr, hr)
            terms = {"loss": loss.detach(), self.params.loss_without_adv: loss.detach()}
        updated = self._descend(self.state.optimisers, loss, learning_rate, allowed)
        self._update_average(average_weight, updated)
        self.state.count_skipped(updated)
        return terms | {_UPDATED: updated}

    def _update_discriminator(
        self, hr: Tensor, sr: Tensor, learning_rate: Rate
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Return the terms, and whether the discriminator moved: `() bool`."""
        adversary = self._adversary
        with self._autocast():
            hr_logits, sr_logits = adversary.network(hr), adversary.network(sr)
        mean = self.group.mean if self.params.relativistic else None
        loss = discriminator_loss(hr_logits, sr_logits, mean)
        updated = self._descend([adversary.optimiser], loss, learning_rate)
        return {
            "discriminator": loss.detach(),
            "d_hr": hr_logits.detach().float().sigmoid().mean(),
            "d_sr": sr_logits.detach().float().sigmoid().mean(),
        }, updated

    def _srgan_loss(
        self, kind: StepKind, hr: Tensor, sr: Tensor, adversarial_weight: Rate
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Equation 3 with the article's weights: content, adversarial and, where asked, pixels."""
        adversary = self._adversary
        assert self.vgg is not None
        # The discriminator only judges here: its own gradients would be computed for nothing.
        adversary.network.requires_grad_(False)
        with self._autocast():
            with torch.no_grad():
                hr_features = self.vgg(hr)
                hr_logits = adversary.network(hr) if self.params.relativistic else None
            sr_features = self.vgg(sr)
            logits = adversary.network(sr)
        adversary.network.requires_grad_(True)
        terms = {
            "content": content_loss(sr_features, hr_features),
            "adversarial": adversarial_loss(logits, hr_logits, self.group.mean),
        }
        weights: dict[str, Rate] = {
            "content": self.params.content_weight,
            "adversarial": adversarial_weight,
        }
        if self.params.pixel_weight > 0:
            terms["pixel"] = pixel_loss("l1", sr, hr)
            weights["pixel"] = self.params.pixel_weight
        weighted = {name: weights[name] * term for name, term in terms.items()}
        loss = torch.stack(list(weighted.values())).sum()
        told = {"loss": loss.detach()} | {name: term.detach() for name, term in terms.items()}
        if kind.measures_gradients:
            told |= self._pulls(weighted)
        return loss, told

    def _pulls(self, weighted: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """How hard each term pulls: the norm of its gradient at the generator's last layer."""
        last = self.state.generator.last_layer.weight
        pulls = {
            name: torch.autograd.grad(term, last, retain_graph=True)[0]
            for name, term in weighted.items()
        }
        self.group.average(list(pulls.values()))
        return {f"{name}_pull": gradient.norm() for name, gradient in pulls.items()}

    @property
    def _adversary(self) -> Adversary:
        assert self.state.adversary is not None
        return self.state.adversary

    @property
    def _pretrain_steps(self) -> int:
        return pretrain_steps(self.params, self.steps)

    def _rates(self, step: int) -> Iterable[Rate]:
        """Return the learning rate, the new weights' part in their average, and the adversarial
        weight of a step; on CUDA as `(3,) float`, so that a graph can read others each time."""
        rates = (self._lr(step), self._average_weight(step), self._adversarial_weight(step))
        if self.device.type != "cuda":
            return rates
        return sent(torch.tensor(rates), self.device)

    def _lr(self, step: int) -> float:
        """The learning rate of a step, of which there are `self.steps`."""
        if self.params.lr_schedule == "constant":
            return self.params.lr
        return self.params.lr * (1 + math.cos(math.pi * step / self.steps)) / 2

    def _average_weight(self, step: int) -> float:
        """1 - decay; larger in the first steps, so that the random start does not weigh on them."""
        return 1 - min(average_decay(self.params), (1 + step) / (10 + step))

    def _adversarial_weight(self, step: int) -> float:
        """`adv_weight`, reached linearly over the warm-up after pre-training."""
        if not self.params.warmup_steps:
            return self.params.adv_weight
        done = (step - self._pretrain_steps + 1) / self.params.warmup_steps
        return self.params.adv_weight * min(1.0, done)

    def _update_average(self, weight: Rate, updated: Tensor) -> None:
        if average_decay(self.params) == 0:
            weight = 1.0
        elif isinstance(weight, Tensor):
            weight = weight * updated
        elif not updated:
            return
        update_average(self.state.average, self.state.generator, weight)

    def _descend(
        self,
        optimisers: Sequence[Optimizer],
        loss: Tensor,
        learning_rate: Rate,
        allowed: Tensor | None = None,
    ) -> Tensor:
        """Step down the gradient of `loss` where that is `allowed` and it is finite.

        Return whether it was: `() bool`. Else nothing changes.
        """
        for optimiser in optimisers:
            optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        groups = [group for optimiser in optimisers for group in optimiser.param_groups]
        trained = [
            parameter
            for group in groups
            for parameter in group["params"]
            if parameter.grad is not None
        ]
        gradients = [parameter.grad for parameter in trained]
        self.group.average(gradients)
        norm = get_total_norm(gradients)
        # A finite loss may have gradients that are not; those would be the network's last.
        finite = torch.isfinite(norm)
        if allowed is not None:
            finite = finite & allowed
        if self.device.type != "cuda" and not finite:
            return finite
        if self.params.max_grad_norm is not None:
            clip_grads_with_norm_(trained, self.params.max_grad_norm, norm)
        for group in groups:
            group["lr"] = learning_rate
        for optimiser in optimisers:
            if self.device.type == "cuda":
                # What `torch.amp.GradScaler` tells an optimiser: it then moves nothing.
                optimiser.found_inf = (~finite).float()  # type: ignore[attr-defined]
            optimiser.step()
        return finite

    def _as_input(self, levels: Tensor) -> Tensor:
        """`(N, 3, H, W) uint8` as floats in [0, 1] where the networks are."""
        floats = levels.to(self.device).float() / 255
        return floats.contiguous(memory_format=torch.channels_last)

    def _autocast(self) -> AbstractContextManager[object]:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)
