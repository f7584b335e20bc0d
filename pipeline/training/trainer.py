"""A training from its params to a generator's file, whatever stops it on the way."""

import json
import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from pipeline.devices import computes_in_bf16
from pipeline.errors import PipelineError, UsageError
from pipeline.files import sha256_of
from pipeline.images.shards import read_images
from pipeline.manifest import Row, read_manifest
from pipeline.networks.files import save_generator
from pipeline.params import TrainParams
from pipeline.progress import Progress, Silent
from pipeline.training.checkpoints import Checkpoints, fingerprint
from pipeline.training.course import Course, Figures, Recorder, Unrecorded
from pipeline.training.distribution import Group, joined
from pipeline.training.images import load_images
from pipeline.training.interrupts import Interrupts
from pipeline.training.judges import content_network, perceptual_network
from pipeline.training.patches import Patches, Prefetched
from pipeline.training.state import new_state
from pipeline.training.updates import Terms, Updates
from pipeline.training.validation import Validation

# A single overflow is bad luck; this many in a row are a run that will not recover.
MAX_SKIPPED_IN_A_ROW = 10


@dataclass(frozen=True)
class TrainResult:
    """Where the averaged generator is, after how many steps, and its last validation figures.

    `skipped` of the steps changed nothing, because the loss or its gradients were not finite.
    """

    generator: Path
    steps: int
    skipped: int
    figures: Figures


def train(
    params: TrainParams,
    manifest: Path,
    resized: Path,
    models: Path,
    recorder: Recorder,
    progress: Progress = Silent(),  # noqa: B008
) -> TrainResult | None:
    """Train a generator on the manifest's training images.

    Writes the last one to `models/generator.safetensors`, and the one that validated best to
    `best.safetensors` beside it: by LPIPS where there is a discriminator and AlexNet's weights are
    here, else by PSNR. Goes on from the newest checkpoint of the same params and manifest. Stopped
    by SIGINT or SIGTERM, it saves one and raises `KeyboardInterrupt`. Of several processes that
    train together only the leader gets a result. Raises `PipelineError`.
    """
    with joined(params.device) as (group, device):
        if not group.leads:
            recorder, progress = Unrecorded(), Silent()
        where = _Place(manifest, resized, models, group, device)
        training = _Training(params, where, recorder, progress)
        training.run()
    if not group.leads:
        return None
    state = training.state
    path = models / "generator.safetensors"
    save_generator(path, state.average, training.metadata(state.step))
    save_generator(models / "best.safetensors", state.best, training.metadata(state.best_step))
    return TrainResult(path, state.step, state.skipped, training.course.last_validation())


@dataclass(frozen=True)
class _Place:
    """What is read and written, by which of how many processes, and where it computes."""

    manifest: Path
    resized: Path
    models: Path
    group: Group
    device: torch.device


class _Training:
    def __init__(
        self, params: TrainParams, place: _Place, recorder: Recorder, progress: Progress
    ) -> None:
        self.params, self.progress = params, progress
        self.place, self.group, self.device = place, place.group, place.device
        manifest = place.manifest
        if params.batch % self.group.size:
            raise PipelineError(
                f"train.batch: {params.batch} cannot be shared by {self.group.size} processes"
            )
        rows = read_manifest(manifest)
        self.rows = _rows_of("train", rows, manifest)
        watched = _rows_of("val", rows, manifest)[: params.validation_images]
        vgg, self.vgg_origin = content_network(params, self.device, progress)
        pictures = read_images(place.resized, watched)
        self.size = pictures.shape[1]
        side = self.size // params.scale * params.scale
        perceptual = perceptual_network(side, self.device)
        validation = Validation.of(pictures, params.scale, perceptual, params.degradation)
        if params.crop > side:
            raise PipelineError(
                f"train.crop: {params.crop} is larger than the images of {manifest}, {side} pixels"
            )
        self.steps = params.steps or math.ceil(params.epochs * len(self.rows) / params.batch)
        self.manifest_sha256 = sha256_of(manifest)
        init = "" if params.init is None else _init_sha256(Path(params.init))
        folder = place.models / "checkpoints" / fingerprint(params, self.manifest_sha256, init)
        self.checkpoints = Checkpoints(folder)
        self.state = new_state(params, self.device, self.group)
        bf16 = params.precision == "bf16" or (
            params.precision == "auto" and computes_in_bf16(self.device)
        )
        self.update = Updates(params, self.steps, self.state, vgg, self.device, bf16, self.group)
        self.course = Course(
            params, self.steps, self.state, validation, self.group, recorder, progress
        )
        self._resume()

    def run(self) -> None:
        """Take the steps that are missing."""
        if self.state.step >= self.steps:
            return
        batches = self._read_batches()
        self.course.begin()
        saved_at, skipped = time.monotonic(), 0
        try:
            with Interrupts() as interrupts:
                while self.state.step < self.steps:
                    terms = self.update(batches(self.state.step))
                    skipped = 0 if terms else skipped + 1
                    self._tell_skipped(skipped)
                    self._record(terms)
                    stop = self.group.any(interrupts.stop, self.device)
                    due = time.monotonic() - saved_at >= self.params.checkpoint_seconds
                    if self.group.leads and (due or stop or self.state.step == self.steps):
                        self.checkpoints.save(self.state)
                        saved_at = time.monotonic()
                    if stop and self.state.step < self.steps:
                        raise KeyboardInterrupt
        finally:
            self.progress.finish()
            if isinstance(batches, Prefetched):
                batches.close()

    def _read_batches(self) -> Patches | Prefetched:
        params, group = self.params, self.group
        images = load_images(
            self.place.resized, self.rows, self.size, self.device, group.size, self.progress
        )
        share = (group.rank, group.size)
        patches = Patches(
            images.load,
            len(self.rows),
            params.crop,
            params.batch,
            params.seed,
            share,
            params.crop_candidates,
            params.turns,
        )
        return patches if images.at_hand else Prefetched(patches)

    def _record(self, terms: Terms) -> None:
        try:
            self.course.record(terms)
        except PipelineError as error:
            raise self._overflow(str(error)) from None

    def _resume(self) -> None:
        saved, problems = self.checkpoints.newest()
        for problem in problems:
            self.progress.message(problem)
        if saved is not None:
            self.state.load_state_dict(saved)
        self._refuse_other_steps()
        if saved is not None:
            told = "goes on from" if self.state.step < self.steps else "is already at"
            self.progress.message(f"training {told} step {self.state.step} of {self.steps}")
        self.course.replay()

    def _refuse_other_steps(self) -> None:
        step = torch.tensor(float(self.state.step), device=self.device)
        if self.group.mean(step) != step:
            raise PipelineError(
                f"{self.checkpoints.folder}: processes of this training see different checkpoints; "
                "models/ must lie on a file system that all of them share"
            )

    def _tell_skipped(self, skipped: int) -> None:
        if skipped:
            self.progress.message(f"step {self.state.step}: skipped, its loss was not finite")
        if skipped >= MAX_SKIPPED_IN_A_ROW:
            raise self._overflow(f"the loss was not finite in the last {skipped} steps")

    def _overflow(self, problem: str) -> PipelineError:
        return PipelineError(
            f"training: step {self.state.step}: {problem}; lower train.lr, or set train.precision "
            f"to fp32; the checkpoints before it stay in {self.checkpoints.folder}"
        )

    def metadata(self, step: int) -> dict[str, str]:
        """What the file of the generator after `step` steps tells about its making."""
        return {
            "params": json.dumps(self.params.model_dump(mode="json"), sort_keys=True),
            "manifest_sha256": self.manifest_sha256,
            "step": str(step),
            "vgg": self.vgg_origin,
            "adversarial": "true" if self.state.adversary is not None else "false",
        }


def _init_sha256(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError as error:
        raise UsageError(f"train.init: {path}: {error.strerror}") from None


def _rows_of(split: str, rows: list[Row], manifest: Path) -> list[Row]:
    found = [row for row in rows if row.split == split]
    if not found:
        raise PipelineError(
            f"{manifest}: has no {split} rows; change manifest.val_fraction and "
            "manifest.test_fraction, or scrape more"
        )
    return found
