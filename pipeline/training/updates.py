"""One step of SRGAN's training (Ledig et al. 2017): the discriminator's update, then the
generator's."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from pipeline.images.resample import downscale
from pipeline.networks.vgg import VGG16Features
from pipeline.params import TrainParams
from pipeline.training.losses import (
    adversarial_loss,
    content_loss,
    discriminator_loss,
    pixel_loss,
)
from pipeline.training.state import Adversary, State, update_average

Terms = Mapping[str, Tensor]


@dataclass(frozen=True)
class Updates:
    """How `state` moves by one step; `vgg` may be missing where there is no discriminator."""

    params: TrainParams
    state: State
    vgg: VGG16Features | None
    device: torch.device
    bf16: bool

    def __call__(self, hr_levels: Tensor) -> Terms:
        """Take one step on `(N, 3, H, W) uint8` originals; both networks see the same fake.

        Returns the terms of the loss, or nothing where they or their gradients were not finite:
        then what they would have updated stayed as it was.
        """
        step = self.state.step
        lr = self._on_device(downscale(hr_levels, self.params.scale))
        hr = self._on_device(hr_levels)
        with self._autocast():
            sr = self.state.generator(lr).float()
        adversary = self.state.adversary
        if adversary is None or step < self.params.pretrain_steps:
            loss = pixel_loss(self.params.loss_without_adv, sr, hr)
            terms = {"loss": loss.detach(), self.params.loss_without_adv: loss.detach()}
        else:
            if step == self.params.pretrain_steps:
                # Adam remembers the pixel loss's faint gradients; measured against those, the
                # first ones of features would move the weights many times too far.
                self.state.optimiser.state.clear()
            terms = self._update_discriminator(adversary, hr, sr.detach())
            loss, more = self._srgan_loss(adversary, hr, sr, step)
            terms |= more
        updated = bool(terms) and _descend(self.state.optimiser, loss)
        self.state.step = step + 1
        if not updated:
            self.state.skipped += 1
            return {}
        update_average(self.state.average, self.state.generator, self.params.ema, step)
        return terms

    def _update_discriminator(
        self, adversary: Adversary, hr: Tensor, sr: Tensor
    ) -> dict[str, Tensor]:
        with self._autocast():
            hr_logits, sr_logits = adversary.network(hr), adversary.network(sr)
        loss = discriminator_loss(hr_logits, sr_logits)
        if not _descend(adversary.optimiser, loss):
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
            sr_features = self.vgg(sr)
            logits = adversary.network(sr)
        adversary.network.requires_grad_(True)
        content = content_loss(sr_features, hr_features)
        adversarial = adversarial_loss(logits)
        weight = self._adversarial_weight(step)
        loss = self.params.content_weight * content + weight * adversarial
        terms = {"content": content.detach(), "adversarial": adversarial.detach()}
        if self.params.pixel_weight > 0:
            pixel = pixel_loss("l1", sr, hr)
            loss = loss + self.params.pixel_weight * pixel
            terms["pixel"] = pixel.detach()
        return loss, {"loss": loss.detach()} | terms

    def _adversarial_weight(self, step: int) -> float:
        """`adv_weight`, reached linearly over the warm-up after pre-training."""
        if not self.params.warmup_steps:
            return self.params.adv_weight
        done = (step - self.params.pretrain_steps + 1) / self.params.warmup_steps
        return self.params.adv_weight * min(1.0, done)

    def _on_device(self, levels: Tensor) -> Tensor:
        """`(N, 3, H, W) uint8` as floats in [0, 1] where the networks are."""
        floats = levels.to(self.device).float() / 255
        return floats.contiguous(memory_format=torch.channels_last)

    def _autocast(self) -> AbstractContextManager[object]:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)


def _descend(optimiser: Optimizer, loss: Tensor) -> bool:
    """Step down the gradient of `loss`, unless it is not finite: then nothing changes."""
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    gradients = [
        parameter.grad
        for group in optimiser.param_groups
        for parameter in group["params"]
        if parameter.grad is not None
    ]
    # A finite loss may have gradients that are not; those would be the network's last.
    if not torch.isfinite(get_total_norm(gradients)):
        return False
    optimiser.step()
    return True
