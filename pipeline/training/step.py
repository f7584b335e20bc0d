"""One training step of SRGAN: the discriminator's update, then the generator's.

Equations are those of Ledig et al. 2017, "Photo-Realistic Single Image Super-Resolution Using a
Generative Adversarial Network".
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from pipeline.devices import DTYPES, to_device_async
from pipeline.networks.perceptual.vgg import VGG16Features
from pipeline.params import TrainParams
from pipeline.progress import Silent
from pipeline.training.compiling import compile_function, compile_network
from pipeline.training.crops import Batch
from pipeline.training.descent import descend
from pipeline.training.distributed import SINGLE_PROCESS, Group
from pipeline.training.extra_losses import NO_EXTRA_LOSSES, ExtraLosses, LossImages
from pipeline.training.graphs import Graphed
from pipeline.training.loss_scale import LossScale
from pipeline.training.losses import (
    adversarial_loss,
    content_loss,
    discriminator_loss,
    pixel_loss,
)
from pipeline.training.lr_crops import LrCrops
from pipeline.training.schedules import Scalar, Schedule, StepScalars, resolved_ema_decay
from pipeline.training.state import Adversary, BufferCopies, State, update_ema

StepFigures = Mapping[str, Tensor]
"""losses, the discriminator's mean outputs, gradient norms: `() float` each"""

# Beside the figures: a CUDA graph's outputs are one mapping of tensors.
_UPDATED = "updated"


class StepKind(NamedTuple):
    """What a step computes; each kind has a CUDA graph of its own."""

    adversarial: bool
    """whether it is of the adversarial phase, after pre-training"""
    with_grad_norms: bool


@dataclass(frozen=True)
class StepResult:
    """The figures of one step, and whether the generator was updated: `() bool`.

    Gradient norms come with each row of the curves. Where gradients were not finite, the network
    that they would have updated is as before, with its optimiser and its statistics of batch
    normalisation. On CUDA the host has not waited for the step: reading a value does.
    """

    figures: StepFigures
    updated: Tensor


@dataclass(frozen=True)
class TrainStep:
    """Update `state` by one of `steps` steps; `vgg` is None without a discriminator.

    On CUDA a single process replays each kind of step as a CUDA graph, unless `graphed` is False,
    and no step waits for the GPU, but for one thing: degradation `web` is computed by the host,
    which reads back crops that were cut on the GPU. Batches of `light` and `heavy` come with their
    LR. Where `compiled` is True the networks are compiled by `torch.compile`, at the first steps.
    """

    params: TrainParams
    steps: int
    state: State
    vgg: VGG16Features | None
    device: torch.device
    precision: str
    """fp32, bf16 or fp16"""
    group: Group = SINGLE_PROCESS
    extra_losses: ExtraLosses = NO_EXTRA_LOSSES
    graphed: bool = True
    compiled: bool = False
    report: Callable[[str], None] = Silent().message
    """called with a line where graphs cannot be used"""

    def __post_init__(self) -> None:
        if self.compiled:
            compile_network(self.state.generator)
            if self.state.adversary is not None:
                compile_network(self.state.adversary.network)
            if self.vgg is not None:
                compile_network(self.vgg)

    @cached_property
    def lr_crops(self) -> LrCrops:
        """What makes the LR crops that are not given."""
        return LrCrops.from_params(self.params, self.group.rank)

    @cached_property
    def schedule(self) -> Schedule:
        """Learning rate, loss weights and phases by step."""
        return Schedule(self.params, self.steps)

    def __call__(self, batch: Batch) -> StepResult:
        """Take one step on a batch of crops."""
        step = self.state.step
        kind, scalars = self._kind(step), self._scalars(step)
        if self.state.adversary is not None and step == self.schedule.pretrain_steps:
            # The optimisers' moments are of the pixel loss's small gradients; Adam, measuring by
            # those, would move the weights many times too far for the first gradients of features.
            for optimiser in self.state.optimisers.values():
                optimiser.state.clear()
        hr_uint8, lr_uint8 = self._with_lr(batch, step)
        outputs = dict(self._compute(kind, hr_uint8, lr_uint8, scalars))
        self.state.step = step + 1
        updated = outputs.pop(_UPDATED)
        return StepResult(outputs, updated)

    def _kind(self, step: int) -> StepKind:
        adversarial = self.state.adversary is not None and step >= self.schedule.pretrain_steps
        logged = (step + 1) % self.params.log_every == 0
        return StepKind(adversarial, with_grad_norms=adversarial and logged)

    def _scalars(self, step: int) -> StepScalars | Tensor:
        """Return the scalars of a step; on CUDA as one tensor `(3,) float`, for one copy."""
        scalars = self.schedule.scalars(step)
        if self.device.type != "cuda":
            return scalars
        return to_device_async(torch.tensor(scalars), self.device)

    def _with_lr(self, batch: Batch, step: int) -> tuple[Tensor, Tensor]:
        """Return HR and LR crops, on CUDA on the GPU. LR is made where it is not given."""
        made = batch.without_lr
        if batch.lr is not None and not len(made):
            return self._on_gpu(batch.hr), self._on_gpu(batch.lr)
        if self.lr_crops.on_host:
            # Before the copy: the host would have to wait until it could read the crops back.
            lr = self._on_gpu(self.lr_crops(batch.hr, made, step))
            hr = self._on_gpu(batch.hr)
        else:
            hr = self._on_gpu(batch.hr)
            lr = self.lr_crops(hr, made, step)
        if batch.lr is None:
            return hr, lr
        given = self._on_gpu(batch.lr)
        index = to_device_async(torch.from_numpy(made), given.device)
        return hr, given.index_copy(0, index, lr)

    def _on_gpu(self, values: Tensor) -> Tensor:
        return to_device_async(values, self.device) if self.device.type == "cuda" else values

    @cached_property
    def _content_loss(self) -> Callable[..., Tensor]:
        return compile_function(content_loss) if self.compiled else content_loss

    @cached_property
    def _compute(self) -> Callable[..., StepFigures]:
        if self.graphed and self.device.type == "cuda" and self.group.size == 1:
            return Graphed(self._update_networks, self.device, self.report)
        return self._update_networks

    def _update_networks(
        self, kind: StepKind, hr_uint8: Tensor, lr_uint8: Tensor, scalars: Iterable[Scalar]
    ) -> StepFigures:
        """Update all networks; return the figures, and `_UPDATED` whether the generator moved."""
        learning_rate, ema_weight, adversarial_weight = scalars
        adversary = self.state.adversary if kind.adversarial else None
        buffers = BufferCopies(self.state.generator)
        d_buffers = BufferCopies(None if adversary is None else adversary.network)
        parts = self._parts(hr_uint8, lr_uint8)
        d_figures: StepFigures = {}
        d_updated = torch.ones((), dtype=torch.bool, device=self.device)
        if kind.adversarial:
            d_figures, d_updated = self._update_discriminator(parts, learning_rate)
        means = _PartMeans(self.params.accumulate)
        losses = (means.add(self._generator_loss(kind, part, adversarial_weight)) for part in parts)
        # Equation 1. A generator whose discriminator cannot follow stays where it is, too.
        optimisers, scale = self.state.optimisers.values(), self.state.loss_scale
        updated = self._descend(optimisers, losses, learning_rate, scale, d_updated)
        # After the backward passes, which need the buffers as the forward passes left them.
        buffers.restore_unless(updated)
        d_buffers.restore_unless(d_updated)
        self._update_ema(ema_weight, updated)
        self.state.count_skipped(updated)
        return {**d_figures, **means.figures(), _UPDATED: updated}

    def _parts(self, hr_uint8: Tensor, lr_uint8: Tensor) -> list["_Part"]:
        """Return the parts of a batch whose gradients are accumulated one after the other."""
        count = self.params.accumulate
        pairs = zip(hr_uint8.chunk(count), lr_uint8.chunk(count), strict=True)
        parts = [_Part(self._to_float(hr), self._to_float(lr)) for hr, lr in pairs]
        # Computed once, for both networks' losses, where its activations can be kept so long.
        return [replace(parts[0], sr=self._generate(parts[0].lr))] if count == 1 else parts

    def _generate(self, lr: Tensor) -> Tensor:
        with self._autocast():
            sr: Tensor = self.state.generator(lr)
        return sr.float()

    def _update_discriminator(
        self, parts: Iterable["_Part"], learning_rate: Scalar
    ) -> tuple[StepFigures, Tensor]:
        """Take a step of D's part of equation 2.

        Return D's loss and its mean outputs, and whether it was updated: `() bool`.
        """
        means = _PartMeans(self.params.accumulate)
        losses = (means.add(self._discriminator_loss(part)) for part in parts)
        adversary = self._adversary
        updated = self._descend([adversary.optimiser], losses, learning_rate, adversary.loss_scale)
        return means.figures(), updated

    def _discriminator_loss(self, part: "_Part") -> tuple[Tensor, StepFigures]:
        """Return D's part of equation 2, and it and its mean outputs detached."""
        network = self._adversary.network
        with torch.no_grad():
            sr = self._generate(part.lr) if part.sr is None else part.sr.detach()
        with self._autocast():
            hr_logits, sr_logits = network(part.hr), network(sr)
        loss = discriminator_loss(hr_logits, sr_logits, self._relativistic_mean)
        return loss, {
            "discriminator": loss.detach(),
            "d_hr": hr_logits.detach().float().sigmoid().mean(),
            "d_sr": sr_logits.detach().float().sigmoid().mean(),
        }

    def _generator_loss(
        self, kind: StepKind, part: "_Part", adversarial_weight: Scalar
    ) -> tuple[Tensor, StepFigures]:
        """Return the generator's loss, and its parts detached, unweighted."""
        sr = self._generate(part.lr) if part.sr is None else part.sr
        weights: dict[str, Scalar] = {**self.extra_losses.weights}
        losses = self._extra(part, sr)
        if kind.adversarial:
            # Equation 3.
            losses |= self._perceptual_losses(part.hr, sr)
            weights |= {"content": self.params.content_weight, "adversarial": adversarial_weight}
            if self.params.pixel_weight > 0:
                losses["pixel"] = pixel_loss("l1", sr, part.hr)
                weights["pixel"] = self.params.pixel_weight
        else:
            name = self.params.loss_without_adv
            losses[name], weights[name] = pixel_loss(name, sr, part.hr), 1.0
        weighted = {name: weights[name] * loss for name, loss in losses.items()}
        total = torch.stack(list(weighted.values())).sum()
        figures = {"loss": total.detach()}
        figures |= {name: loss.detach() for name, loss in losses.items()}
        if kind.with_grad_norms:
            figures |= self._grad_norms(weighted)
        return total, figures

    def _extra(self, part: "_Part", sr: Tensor) -> dict[str, Tensor]:
        """Return the losses of `train.extra_losses`, unweighted."""
        average_sr = None
        if self.extra_losses.needs_average:
            with torch.no_grad(), self._autocast():
                average_sr = self.state.ema(part.lr).float()
        return self.extra_losses(LossImages(sr, part.hr, average_sr))

    def _perceptual_losses(self, hr: Tensor, sr: Tensor) -> dict[str, Tensor]:
        """Return the losses of equation 3, unweighted."""
        network, mean = self._adversary.network, self._relativistic_mean
        assert self.vgg is not None
        # D is constant here: its own gradients would be computed for nothing.
        with _frozen(network), self._autocast():
            with torch.no_grad():
                hr_features = self.vgg(hr)
                hr_logits = None if mean is None else network(hr)
            sr_features = self.vgg(sr)
            sr_logits = network(sr)
        return {
            "content": self._content_loss(sr_features, hr_features),
            "adversarial": adversarial_loss(hr_logits, sr_logits, mean),
        }

    def _grad_norms(self, weighted_losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the norm of each weighted loss's gradient at the generator's last layer."""
        last, scale = self.state.generator.last_layer.weight, self.state.loss_scale
        gradients = {
            name: torch.autograd.grad(
                loss if scale is None else scale.scaled(loss), cast(Tensor, last), retain_graph=True
            )[0]
            for name, loss in weighted_losses.items()
        }
        if scale is not None:
            scale.unscale_(list(gradients.values()))
        self.group.all_reduce_mean_(list(gradients.values()))
        return {f"grad_norm_{name}": gradient.norm() for name, gradient in gradients.items()}

    def _descend(
        self,
        optimisers: Iterable[Optimizer],
        losses: Iterable[Tensor],
        learning_rate: Scalar,
        scale: LossScale | None,
        condition: Tensor | None = None,
    ) -> Tensor:
        max_norm = self.params.max_grad_norm
        return descend(optimisers, losses, learning_rate, self.group, max_norm, condition, scale)

    def _update_ema(self, weight: Scalar, updated: Tensor) -> None:
        if self.device.type != "cuda" and not updated:
            return
        if resolved_ema_decay(self.params) == 0:
            # The generator to the bit: adding a difference, as a weight on the device makes it, is
            # rounded. Where the step was skipped both are equal already.
            weight = 1.0
        elif isinstance(weight, Tensor):
            weight = weight * updated
        update_ema(self.state.ema, self.state.generator, weight)

    @property
    def _relativistic_mean(self) -> Callable[[Tensor], Tensor] | None:
        return self.group.global_mean if self.params.relativistic else None

    @property
    def _adversary(self) -> Adversary:
        assert self.state.adversary is not None
        return self.state.adversary

    def _to_float(self, levels: Tensor) -> Tensor:
        """Return `(N, 3, H, W) uint8` as float in [0, 1], channels last, on the device."""
        floats = levels.to(self.device).float() / 255
        return floats.contiguous(memory_format=torch.channels_last)

    def _autocast(self) -> AbstractContextManager[object]:
        kind = DTYPES[self.precision]
        return torch.autocast(self.device.type, kind, enabled=kind != torch.float32)


@dataclass(frozen=True)
class _Part:
    """A part of a batch, `(N, 3, H, W) float`; `sr` where it is computed already."""

    hr: Tensor
    lr: Tensor
    sr: Tensor | None = None


class _PartMeans:
    """The means of a batch's losses and figures over its parts, equally large."""

    def __init__(self, parts: int) -> None:
        self._parts = parts
        self._figures: list[StepFigures] = []

    def add(self, computed: tuple[Tensor, StepFigures]) -> Tensor:
        """Count a part's figures, and return its share of the batch's loss."""
        loss, figures = computed
        self._figures.append(figures)
        return loss / self._parts

    def figures(self) -> dict[str, Tensor]:
        """Return the means of the figures."""
        first, *_ = self._figures
        return {
            name: torch.stack([figures[name] for figures in self._figures]).mean() for name in first
        }


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
