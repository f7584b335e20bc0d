"""One step of SRGAN's training (Ledig et al. 2017): the discriminator's update, then the
generator's."""

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim import Optimizer

from pipeline.images.degrading import make_lr
from pipeline.networks.vgg import VGG16Features
from pipeline.params import TrainParams
from pipeline.training.distribution import ALONE, Group
from pipeline.training.losses import (
    adversarial_loss,
    content_loss,
    discriminator_loss,
    pixel_loss,
)
from pipeline.training.state import Adversary, State, update_average

Terms = Mapping[str, Tensor]


def average_decay(params: TrainParams) -> float:
    """Return the decay of the averaged generator that `train.ema` stands for."""
    if params.ema is not None:
        return params.ema
    normalised = params.generator == "srresnet" and params.norm == "batch"
    return 0.0 if normalised else 0.999


def pretrain_steps(params: TrainParams, steps: int) -> int:
    """Return after how many of `steps` the discriminator joins."""
    return steps // 5 if params.pretrain_steps is None else params.pretrain_steps


@dataclass(frozen=True)
class Updates:
    """How `state` moves by one of `steps`; without a discriminator there may be no `vgg`."""

    params: TrainParams
    steps: int
    state: State
    vgg: VGG16Features | None
    device: torch.device
    bf16: bool
    group: Group = ALONE

    def __call__(self, hr_levels: Tensor) -> Terms:
        """Take one step on `(N, 3, H, W) uint8` originals; both networks see the same fake.

        Returns the terms of the loss, or nothing where they or their gradients were not finite:
        then what they would have updated stayed as it was.
        """
        step = self.state.step
        if self.device.type == "cuda":
            hr_levels = hr_levels.to(self.device)
        first = self.group.rank * len(hr_levels)
        seeds = [(self.params.seed, step, first + index) for index in range(len(hr_levels))]
        lr_levels = make_lr(
            hr_levels, self.params.scale, self.params.degradation, seeds, cut_out=True
        )
        lr = self._as_input(lr_levels)
        hr = self._as_input(hr_levels)
        with self._autocast():
            sr = self.state.generator(lr).float()
        adversary = self.state.adversary
        if adversary is None or step < self._pretrain_steps:
            loss = pixel_loss(self.params.loss_without_adv, sr, hr)
            terms = {"loss": loss.detach(), self.params.loss_without_adv: loss.detach()}
        else:
            if step == self._pretrain_steps:
                # Adam remembers the pixel loss's faint gradients; measured against those, the
                # first ones of features would move the weights many times too far.
                for optimiser in self.state.optimisers:
                    optimiser.state.clear()
            terms = self._update_discriminator(adversary, hr, sr.detach())
            loss, more = self._srgan_loss(adversary, hr, sr, step)
            terms |= more
        updated = bool(terms) and self._descend(self.state.optimisers, loss)
        self.state.step = step + 1
        if not updated:
            self.state.skipped += 1
            return {}
        update_average(self.state.average, self.state.generator, self._decay, step)
        return terms

    def _update_discriminator(
        self, adversary: Adversary, hr: Tensor, sr: Tensor
    ) -> dict[str, Tensor]:
        with self._autocast():
            hr_logits, sr_logits = adversary.network(hr), adversary.network(sr)
        mean = self.group.mean if self.params.relativistic else None
        loss = discriminator_loss(hr_logits, sr_logits, mean)
        if not self._descend([adversary.optimiser], loss):
            return {}
        return {
            "discriminator": loss.detach(),
            "d_hr": hr_logits.detach().float().sigmoid().mean(),
            "d_sr": sr_logits.detach().float().sigmoid().mean(),
        }

    def _srgan_loss(
        self, adversary: Adversary, hr: Tensor, sr: Tensor, step: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Equation 3 with the article's weights: content, adversarial and, where asked, pixels."""
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
        weights = {
            "content": self.params.content_weight,
            "adversarial": self._adversarial_weight(step),
        }
        if self.params.pixel_weight > 0:
            terms["pixel"] = pixel_loss("l1", sr, hr)
            weights["pixel"] = self.params.pixel_weight
        weighted = {name: weights[name] * term for name, term in terms.items()}
        loss = torch.stack(list(weighted.values())).sum()
        told = {"loss": loss.detach()} | {name: term.detach() for name, term in terms.items()}
        if (step + 1) % self.params.log_every == 0:
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
    def _decay(self) -> float:
        return average_decay(self.params)

    @property
    def _pretrain_steps(self) -> int:
        return pretrain_steps(self.params, self.steps)

    def _adversarial_weight(self, step: int) -> float:
        """`adv_weight`, reached linearly over the warm-up after pre-training."""
        if not self.params.warmup_steps:
            return self.params.adv_weight
        done = (step - self._pretrain_steps + 1) / self.params.warmup_steps
        return self.params.adv_weight * min(1.0, done)

    def _lr(self, step: int) -> float:
        """The learning rate of a step, of which there are `self.steps`."""
        if self.params.lr_schedule == "constant":
            return self.params.lr
        return self.params.lr * (1 + math.cos(math.pi * step / self.steps)) / 2

    def _descend(self, optimisers: Sequence[Optimizer], loss: Tensor) -> bool:
        """Step down the gradient of `loss`, unless it is not finite: then nothing changes."""
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
        if not torch.isfinite(norm):
            return False
        if self.params.max_grad_norm is not None:
            clip_grads_with_norm_(trained, self.params.max_grad_norm, norm)
        for group in groups:
            group["lr"] = self._lr(self.state.step)
        for optimiser in optimisers:
            optimiser.step()
        return True

    def _as_input(self, levels: Tensor) -> Tensor:
        """`(N, 3, H, W) uint8` as floats in [0, 1] where the networks are."""
        floats = levels.to(self.device).float() / 255
        return floats.contiguous(memory_format=torch.channels_last)

    def _autocast(self) -> AbstractContextManager[object]:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)
