"""SRGAN's training (Ledig et al. 2017), with the pre-training that lets it come out well."""

import hashlib
import json
import math
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from pipeline.devices import computes_in_bf16, pick_device
from pipeline.errors import PipelineError
from pipeline.images.resample import downscale
from pipeline.images.shards import read_images
from pipeline.manifest import Row, read_manifest
from pipeline.networks.files import save_generator
from pipeline.networks.vgg import VGG16Features
from pipeline.networks.weights import backbone_state
from pipeline.params import TrainParams
from pipeline.progress import Progress, Silent
from pipeline.training.checkpoints import Checkpoints, fingerprint
from pipeline.training.interrupts import Interrupts
from pipeline.training.losses import (
    adversarial_loss,
    content_loss,
    discriminator_loss,
    pixel_loss,
)
from pipeline.training.patches import Patches, image_source
from pipeline.training.state import Adversary, new_state, update_average
from pipeline.training.validation import Validation

# A single overflow is bad luck; this many in a row are a run that will not recover.
MAX_SKIPPED_IN_A_ROW = 10
# With more strips than this every second one is dropped: the picture shows the course.
MAX_STRIPS = 16

Figures = Mapping[str, float]


class Recorder(Protocol):
    """Where the course of a training is kept; after a resume it hears everything again."""

    def figures(self, step: int, figures: Figures) -> None:
        """Losses or validation figures after `step` generator updates."""

    def samples(self, pixels: np.ndarray) -> None:
        """`(H, W, 3) uint8`: the same validation details, a row for each validation so far."""


@dataclass(frozen=True)
class TrainResult:
    """Where the averaged generator is, after how many steps, and its last validation figures."""

    generator: Path
    steps: int
    figures: Figures


def train(
    params: TrainParams,
    manifest: Path,
    resized: Path,
    models: Path,
    recorder: Recorder,
    progress: Progress | None = None,
) -> TrainResult:
    """Train a generator on the manifest's training images; write `models/generator.safetensors`.

    Goes on from the newest checkpoint of the same params and manifest. Stopped by SIGINT or
    SIGTERM, it saves one and raises `KeyboardInterrupt`. Raises `PipelineError`.
    """
    progress = progress or Silent()
    training = _Training(params, manifest, resized, models, recorder, progress)
    training.run()
    path = models / "generator.safetensors"
    save_generator(path, training.state.average, training.metadata())
    return TrainResult(path, training.state.step, training.last_validation())


class _Training:
    def __init__(
        self,
        params: TrainParams,
        manifest: Path,
        resized: Path,
        models: Path,
        recorder: Recorder,
        progress: Progress,
    ) -> None:
        self.params, self.recorder, self.progress = params, recorder, progress
        rows = read_manifest(manifest)
        training = _rows_of("train", rows, manifest)
        watched = _rows_of("val", rows, manifest)[: params.validation_images]
        self.device = pick_device(params.device)
        self.bf16 = params.precision == "bf16" or (
            params.precision == "auto" and computes_in_bf16(self.device)
        )
        self.vgg, self.vgg_origin = self._content_network()
        self.validation = Validation.of(read_images(resized, watched), params.scale)
        load, in_memory = image_source(resized, training, self.validation.hr.shape[-1])
        if not in_memory:
            progress.message("the images do not fit into memory: they are decoded at each step")
        self.patches = Patches(load, len(training), params.crop, params.batch, params.seed)
        self.steps = params.steps or math.ceil(params.epochs * len(training) / params.batch)
        self.manifest_sha256 = hashlib.sha256(manifest.read_bytes()).hexdigest()
        folder = models / "checkpoints" / fingerprint(params, self.manifest_sha256)
        self.checkpoints = Checkpoints(folder)
        self.state = new_state(params, self.device)
        self._resume()

    def run(self) -> None:
        """Take the steps that are missing."""
        self.progress.start("train", self.steps, "steps")
        self.progress.update(self.state.step)
        saved_at, skipped = time.monotonic(), 0
        try:
            with Interrupts() as interrupts:
                while self.state.step < self.steps:
                    figures = self._step(self.state.step)
                    skipped = 0 if figures else skipped + 1
                    self._refuse_overflow(skipped)
                    self._record(figures)
                    due = time.monotonic() - saved_at >= self.params.checkpoint_seconds
                    if due or interrupts.stop or self.state.step == self.steps:
                        self.checkpoints.save(self.state)
                        saved_at = time.monotonic()
                    if interrupts.stop and self.state.step < self.steps:
                        raise KeyboardInterrupt
        finally:
            self.progress.finish()

    def _step(self, step: int) -> dict[str, Tensor]:
        """One update of the discriminator and one of the generator, on the same fake.

        Returns the terms, or nothing where the loss was not finite and the generator stayed.
        """
        hr_levels = self.patches(step)
        lr = self._on_device(downscale(hr_levels, self.params.scale))
        hr = self._on_device(hr_levels)
        with self._autocast():
            sr = self.state.generator(lr).float()
        adversary = self.state.adversary
        if adversary is None or step < self.params.pretrain_steps:
            loss = pixel_loss(self.params.loss_without_adv, sr, hr)
            figures = {"loss": loss.detach(), self.params.loss_without_adv: loss.detach()}
            updated = self._update_generator(loss)
        else:
            figures = self._update_discriminator(adversary, hr, sr.detach())
            loss, terms = self._srgan_loss(adversary, hr, sr, step)
            figures |= terms
            updated = bool(figures) and self._update_generator(loss)
        self.state.step = step + 1
        if not updated:
            self.state.skipped += 1
            return {}
        update_average(self.state.average, self.state.generator, self.params.ema, step)
        return figures

    def _update_discriminator(
        self, adversary: Adversary, hr: Tensor, sr: Tensor
    ) -> dict[str, Tensor]:
        with self._autocast():
            hr_logits, sr_logits = adversary.network(hr), adversary.network(sr)
        loss = discriminator_loss(hr_logits, sr_logits)
        if not torch.isfinite(loss):
            return {}
        adversary.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        adversary.optimiser.step()
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

    def _update_generator(self, loss: Tensor) -> bool:
        if not torch.isfinite(loss):
            return False
        self.state.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.state.optimiser.step()
        return True

    def _adversarial_weight(self, step: int) -> float:
        """`adv_weight`, reached linearly over the warm-up after pre-training."""
        if not self.params.warmup_steps:
            return self.params.adv_weight
        done = (step - self.params.pretrain_steps + 1) / self.params.warmup_steps
        return self.params.adv_weight * min(1.0, done)

    def _record(self, terms: Mapping[str, Tensor]) -> None:
        step, ended = self.state.step, self.state.step == self.steps
        if terms and (step % self.params.log_every == 0 or ended):
            figures = {f"train/{name}": value.item() for name, value in terms.items()}
            self._keep(step, figures)
            shown = {name: value.item() for name, value in terms.items()}
            self.progress.update(step, **shown)
        else:
            self.progress.update(step)
        if step % self.params.validate_every == 0 or ended:
            figures, strip = self.validation(self.state.average)
            self._keep(step, {f"val/{name}": value for name, value in figures.items()})
            self.state.samples.append(strip)
            if len(self.state.samples) > MAX_STRIPS:
                self.state.samples = self.state.samples[1::2]
            self._show_samples()
            told = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
            self.progress.message(f"step {step}: validation {told}")

    def _keep(self, step: int, figures: dict[str, float]) -> None:
        self.state.curve.append({"step": step} | figures)
        self.recorder.figures(step, figures)

    def _show_samples(self) -> None:
        if self.state.samples:
            strips = torch.cat(self.state.samples, dim=1)
            self.recorder.samples(strips.permute(1, 2, 0).cpu().numpy())

    def _resume(self) -> None:
        saved, problems = self.checkpoints.newest(self.device)
        for problem in problems:
            self.progress.message(problem)
        if saved is None:
            return
        self.state.load_state_dict(saved)
        self.progress.message(f"goes on from step {self.state.step} of {self.steps}")
        for row in self.state.curve:
            figures = {name: value for name, value in row.items() if name != "step"}
            self.recorder.figures(int(row["step"]), figures)
        self._show_samples()

    def _content_network(self) -> tuple[VGG16Features | None, str]:
        if self.params.adv_weight == 0:
            return None, "none"
        state, origin = backbone_state("vgg16", self.params.vgg, self.params.seed)
        network = VGG16Features(self.params.content_layers, state)
        placed = network.to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return placed, origin

    def _on_device(self, levels: Tensor) -> Tensor:
        """`(N, 3, H, W) uint8` as floats in [0, 1] where the networks are."""
        floats = levels.to(self.device).float() / 255
        return floats.contiguous(memory_format=torch.channels_last)

    def _autocast(self) -> AbstractContextManager[object]:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)

    def _refuse_overflow(self, skipped: int) -> None:
        if skipped >= MAX_SKIPPED_IN_A_ROW:
            raise PipelineError(
                f"training: the loss was not finite in {skipped} steps up to {self.state.step}; "
                f"lower train.lr, or set train.precision to fp32; the checkpoints before it stay "
                f"in {self.checkpoints.folder}"
            )

    def metadata(self) -> dict[str, str]:
        """What the generator's file tells about its making."""
        return {
            "params": json.dumps(self.params.model_dump(mode="json"), sort_keys=True),
            "manifest_sha256": self.manifest_sha256,
            "step": str(self.state.step),
            "vgg": self.vgg_origin,
            "adversarial": "true" if self.state.adversary is not None else "false",
        }

    def last_validation(self) -> Figures:
        """The figures of the newest validation."""
        for row in reversed(self.state.curve):
            if "val/psnr_y" in row:
                return {name: value for name, value in row.items() if name != "step"}
        return {}


def _rows_of(split: str, rows: list[Row], manifest: Path) -> list[Row]:
    found = [row for row in rows if row.split == split]
    if not found:
        raise PipelineError(
            f"{manifest}: has no {split} rows; scrape more, or raise manifest.{split}_fraction"
            if split != "train"
            else f"{manifest}: has no train rows; lower manifest.val_fraction and test_fraction"
        )
    return found
