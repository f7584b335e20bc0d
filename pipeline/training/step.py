"""One training step of SRGAN: the discriminator's update, then the generator's.

Equations are those of Ledig et al. 2017, "Photo-Realistic Single Image Super-Resolution Using a
Generative Adversarial Network".
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim import Optimizer

from pipeline.devices import to_device_async
from pipeline.images.degradation import make_lr
from pipeline.networks.perceptual.vgg import VGG16Features
from pipeline.params import TrainParams
from pipeline.training.distributed import SINGLE_PROCESS, Group
from pipeline.training.graphs import Graphed
from pipeline.training.losses import (
    adversarial_loss,
    content_loss,
    discriminator_loss,
    pixel_loss,
)
from pipeline.training.schedules import Schedule, average_decay
from pipeline.training.state import Adversary, State, update_average

Losses = Mapping[str, Tensor]
Rate = float | Tensor

_UPDATED = "updated"


class StepKind(NamedTuple):
    """What a step computes; each kind has a CUDA graph of its own."""

    adversarial: bool
    """whether it is of the adversarial phase, after pre-training"""
    with_grad_norms: bool


@dataclass(frozen=True)
class StepResult:
    """The losses of one step, `() float` each, and whether the generator was updated: `() bool`.

    Beside the losses stand the discriminator's mean outputs and, with each row of the curves, the
    gradient norms. Where gradients were not finite, the network that they would have updated is as
    before, with its optimiser and its statistics of batch normalisation. On CUDA the host has not
    waited for the step: reading a value does.
    """

    losses: Losses
    updated: Tensor


@dataclass(frozen=True)
class TrainStep:
    """Update `state` by one of `steps` steps; `vgg` is None without a discriminator.

    On CUDA a single process replays each kind of step as a CUDA graph, unless `graphed` is False,
    and no step waits for the GPU, but for one thing: degradation `web` is computed by the host,
    which reads back crops that were cut on the GPU.
    """

    params: TrainParams
    steps: int
    state: State
    vgg: VGG16Features | None
    device: torch.device
    bf16: bool
    group: Group = SINGLE_PROCESS
    graphed: bool = True
    report: Callable[[str], None] = print
    """called with a line where graphs cannot be used"""

    @cached_property
    def schedule(self) -> Schedule:
        """Learning rate, loss weights and phases by step."""
        return Schedule(self.params, self.steps)

    def __call__(self, hr_uint8: Tensor) -> StepResult:
        """Take one step on `(N, 3, H, W) uint8` originals."""
        step = self.state.step
        kind, rates = self._kind(step), self._rates(step)
        if self.state.adversary is not None and step == self.schedule.pretrain_steps:
            # Adam's moments are of the pixel loss's small gradients; measured against those, the
            # first ones of features would move the weights many times too far.
            for optimiser in self.state.optimisers.values():
                optimiser.state.clear()
        hr_uint8, lr_uint8 = self._with_lr(hr_uint8, step)
        outputs = dict(self._compute(kind, hr_uint8, lr_uint8, rates))
        self.state.step = step + 1
        updated = outputs.pop(_UPDATED)
        return StepResult(outputs, updated)

    def _kind(self, step: int) -> StepKind:
        adversarial = self.state.adversary is not None and step >= self.schedule.pretrain_steps
        logged = (step + 1) % self.params.log_every == 0
        return StepKind(adversarial, with_grad_norms=adversarial and logged)

    def _rates(self, step: int) -> Iterable[Rate]:
        """Return learning rate, average weight and adversarial weight of a step.

        On CUDA they are `(3,) float`, so that a graph can read other values each time.
        """
        schedule = self.schedule
        rates = (
            schedule.learning_rate(step),
            schedule.average_weight(step),
            schedule.adversarial_weight(step),
        )
        if self.device.type != "cuda":
            return rates
        return to_device_async(torch.tensor(rates), self.device)

    def _with_lr(self, hr_uint8: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Return HR and LR crops, on CUDA on the GPU."""
        if self.device.type != "cuda":
            return hr_uint8, self._make_lr(hr_uint8, step)
        if self.params.degradation == "web":
            # Before the copy: the host would have to wait until it could read the crops back.
            lr_uint8 = self._make_lr(hr_uint8, step)
            return to_device_async(hr_uint8, self.device), to_device_async(lr_uint8, self.device)
        hr_uint8 = to_device_async(hr_uint8, self.device)
        return hr_uint8, self._make_lr(hr_uint8, step)

    def _make_lr(self, hr_uint8: Tensor, step: int) -> Tensor:
        """Return the LR crops; their degradation depends on seed, step and index in the batch."""
        first = self.group.rank * len(hr_uint8)
        seeds = [(self.params.seed, step, first + index) for index in range(len(hr_uint8))]
        return make_lr(hr_uint8, self.params.scale, self.params.degradation, seeds, cut_out=True)

    @cached_property
    def _compute(self) -> Callable[..., Mapping[str, Tensor]]:
        if self.graphed and self.device.type == "cuda" and self.group.size == 1:
            return Graphed(self._update_networks, self.device, self.report)
        return self._update_networks

    def _update_networks(
        self, kind: StepKind, hr_uint8: Tensor, lr_uint8: Tensor, rates: Iterable[Rate]
    ) -> Mapping[str, Tensor]:
        """Update all networks; return the losses, and as `_UPDATED` whether the generator moved."""
        learning_rate, average_weight, adversarial_weight = rates
        adversary = self.state.adversary
        buffers = _Buffers(self.state.generator)
        d_buffers = _Buffers(adversary.network if kind.adversarial and adversary else None)
        lr, hr = self._to_float(lr_uint8), self._to_float(hr_uint8)
        # SR = G(LR), the same for both networks' losses.
        with self._autocast():
            sr = self.state.generator(lr).float()
        if kind.adversarial:
            # Equation 2: one step of D's maximisation, then of G's minimisation.
            losses, allowed = self._update_discriminator(hr, sr.detach(), learning_rate)
            # Equation 3: perceptual loss = content loss + weighted adversarial loss.
            loss, generator_losses = self._perceptual_loss(kind, hr, sr, adversarial_weight)
            losses |= generator_losses
        else:
            # Equation 4, or another pixel loss.
            allowed = torch.ones((), dtype=torch.bool, device=self.device)
            loss = pixel_loss(self.params.loss_without_adv, sr, hr)
            losses = {"loss": loss.detach(), self.params.loss_without_adv: loss.detach()}
        # Equation 1: G's weights minimise the loss.
        updated = self._descend(self.state.optimisers.values(), loss, learning_rate, allowed)
        # After the backward passes, which need the buffers as the forward passes left them.
        buffers.restore_unless(updated)
        d_buffers.restore_unless(allowed)
        self._update_average(average_weight, updated)
        self.state.count_skipped(updated)
        return losses | {_UPDATED: updated}

    def _update_discriminator(
        self, hr: Tensor, sr: Tensor, learning_rate: Rate
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Return D's loss and its mean outputs, and whether it was updated: `() bool`."""
        adversary = self._adversary
        with self._autocast():
            hr_logits, sr_logits = adversary.network(hr), adversary.network(sr)
        # -log D(HR) - log(1 - D(G(LR)))
        mean = self.group.mean if self.params.relativistic else None
        loss = discriminator_loss(hr_logits, sr_logits, mean)
        updated = self._descend([adversary.optimiser], loss, learning_rate)
        return {
            "discriminator": loss.detach(),
            "d_hr": hr_logits.detach().float().sigmoid().mean(),
            "d_sr": sr_logits.detach().float().sigmoid().mean(),
        }, updated

    def _perceptual_loss(
        self, kind: StepKind, hr: Tensor, sr: Tensor, adversarial_weight: Rate
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return equation 3, and its parts detached, unweighted.

        The weights are params; pixels are added where `pixel_weight` says so.
        """
        adversary = self._adversary
        assert self.vgg is not None
        # D is constant here: its own gradients would be computed for nothing.
        with _frozen(adversary.network), self._autocast():
            with torch.no_grad():
                hr_features = self.vgg(hr)
                hr_logits = adversary.network(hr) if self.params.relativistic else None
            sr_features = self.vgg(sr)
            sr_logits = adversary.network(sr)
        losses = {
            # Equation 5: squared error of VGG features.
            "content": content_loss(sr_features, hr_features),
            # Equation 6: -log D(G(LR)).
            "adversarial": adversarial_loss(sr_logits, hr_logits, self.group.mean),
        }
        weights: dict[str, Rate] = {
            "content": self.params.content_weight,
            "adversarial": adversarial_weight,
        }
        if self.params.pixel_weight > 0:
            losses["pixel"] = pixel_loss("l1", sr, hr)
            weights["pixel"] = self.params.pixel_weight
        weighted = {name: weights[name] * loss for name, loss in losses.items()}
        total = torch.stack(list(weighted.values())).sum()
        recorded = {"loss": total.detach()}
        recorded |= {name: loss.detach() for name, loss in losses.items()}
        if kind.with_grad_norms:
            recorded |= self._grad_norms(weighted)
        return total, recorded

    def _grad_norms(self, weighted_losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the norm of each weighted loss's gradient at the generator's last layer."""
        last = self.state.generator.last_layer.weight
        gradients = {
            name: torch.autograd.grad(loss, last, retain_graph=True)[0]
            for name, loss in weighted_losses.items()
        }
        self.group.average(list(gradients.values()))
        return {f"grad_norm_{name}": gradient.norm() for name, gradient in gradients.items()}

    def _descend(
        self,
        optimisers: Iterable[Optimizer],
        loss: Tensor,
        learning_rate: Rate,
        allowed: Tensor | None = None,
    ) -> Tensor:
        """Update the optimisers' weights where that is `allowed` and all gradients are finite.

        Return whether they were updated: `() bool`. Otherwise nothing changes.
        """
        optimisers = list(optimisers)
        for optimiser in optimisers:
            optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        groups = [group for optimiser in optimisers for group in optimiser.param_groups]
        weights = [
            weight for group in groups for weight in group["params"] if weight.grad is not None
        ]
        gradients = [weight.grad for weight in weights]
        self.group.average(gradients)
        norm = get_total_norm(gradients)
        # A finite loss may have gradients that are not finite.
        finite = torch.isfinite(norm)
        if allowed is not None:
            finite = finite & allowed
        if self.device.type != "cuda" and not finite:
            return finite
        if self.params.max_grad_norm is not None:
            clip_grads_with_norm_(weights, self.params.max_grad_norm, norm)
        for group in groups:
            group["lr"] = learning_rate
        for optimiser in optimisers:
            if self.device.type == "cuda":
                # As `torch.amp.GradScaler` sets it: where it is 1, the optimiser moves nothing.
                optimiser.found_inf = (~finite).float()  # type: ignore[attr-defined]
            optimiser.step()
        return finite

    def _update_average(self, weight: Rate, updated: Tensor) -> None:
        if self.device.type != "cuda" and not updated:
            return
        if average_decay(self.params) == 0:
            # The generator to the bit: a difference times a weight on the device, which is added,
            # is rounded. Where the step was skipped both are equal already.
            weight = 1.0
        elif isinstance(weight, Tensor):
            weight = weight * updated
        update_average(self.state.average, self.state.generator, weight)

    @property
    def _adversary(self) -> Adversary:
        assert self.state.adversary is not None
        return self.state.adversary

    def _to_float(self, levels: Tensor) -> Tensor:
        """Return `(N, 3, H, W) uint8` as float in [0, 1], channels last, on the device."""
        floats = levels.to(self.device).float() / 255
        return floats.contiguous(memory_format=torch.channels_last)

    def _autocast(self) -> AbstractContextManager[object]:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)


@contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    """Compute no gradients of a network's parameters inside the block.

    They are computed again after an error in it: a step whose graph cannot be captured is repeated.
    """
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)


class _Buffers:
    """The buffers of a network before a step: statistics that its forward pass changes."""

    def __init__(self, network: nn.Module | None) -> None:
        self._buffers = [] if network is None else list(network.buffers())
        self._before = [buffer.clone() for buffer in self._buffers]

    @torch.no_grad()
    def restore_unless(self, updated: Tensor) -> None:
        """Make the buffers what they were where `updated`, `() bool`, is False.

        The choice is the device's: on CUDA the host must not wait to learn it.
        """
        for buffer, before in zip(self._buffers, self._before, strict=True):
            buffer.copy_(torch.where(updated, buffer, before))
