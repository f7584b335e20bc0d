"""Everything that a training needs before its first step."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from pipeline.devices import uses_bf16
from pipeline.errors import PipelineError, UsageError
from pipeline.fingerprints import code_of, short_hash, training_versions
from pipeline.images.shards import read_images
from pipeline.manifest.rows import Row, read_manifest
from pipeline.networks import Generator
from pipeline.params import TrainParams
from pipeline.progress import Progress
from pipeline.training.checkpointed_state import CheckpointedState, new_checkpointed_state
from pipeline.training.checkpoints import Checkpoints
from pipeline.training.compiling import is_compiled
from pipeline.training.distributed import Group
from pipeline.training.history import Recorder
from pipeline.training.monitor import Monitor
from pipeline.training.perceptual import ContentNetwork, load_content_network, load_lpips
from pipeline.training.run_description import Description, describe_run
from pipeline.training.run_inputs import TrainPaths, input_hashes
from pipeline.training.schedules import resolved_pretrain_steps
from pipeline.training.step import TrainStep
from pipeline.training.validation import Validation

# Its imports are all modules that shape the weights.
TRAINER = "pipeline.training.trainer"


@dataclass(frozen=True)
class TrainRun:
    """A training that is ready to be resumed and to take its steps."""

    params: TrainParams
    paths: TrainPaths
    group: Group
    device: torch.device
    progress: Progress
    rows: list[Row]
    """the manifest's training rows"""
    image_size: int
    """pixels, the side of every image"""
    steps: int
    training: CheckpointedState
    train_step: TrainStep
    monitor: Monitor
    description: Description
    """all that shapes the weights"""
    checkpoints: Checkpoints
    metadata: Mapping[str, str]
    """of a generator's file, without what depends on the step"""

    def generator_metadata(self, step: int) -> dict[str, str]:
        """Return the metadata of the file of the generator after `step` steps."""
        devices = ", ".join(self.training.history.devices)
        return {**self.metadata, "step": str(step), "device": devices}

    def overflow_error(self, problem: str) -> PipelineError:
        """Return the error of a training whose numbers overflowed."""
        return PipelineError(
            f"training: step {self.training.state.step}: {problem}; lower train.lr, or set "
            "train.precision to fp32"
        )


def set_up(
    params: TrainParams,
    paths: TrainPaths,
    group: Group,
    device: torch.device,
    recorder: Recorder,
    progress: Progress,
) -> TrainRun:
    """Read manifest and validation images, load pretrained networks, build those to be trained.

    Raises `PipelineError` where params, files and group do not fit each other, as far as possible
    before VGG16's weights are downloaded.
    """
    _check_batch(params, group)
    data = _read_data(params, paths)
    inputs = input_hashes(params, paths)
    # Networks are loaded from resolved paths; files and messages have those that the user gave.
    resolved = paths.resolve_params(params)
    training = new_checkpointed_state(resolved, device, group)
    bf16 = _uses_bf16(params, training.state.generator, device)
    content = load_content_network(resolved, device, bf16, progress)
    inputs |= {"vgg_sha256": content.sha256}
    runs = _Runs(params, paths, training.state.generator.config, data.steps, bf16, inputs)
    compiled = is_compiled(params, data.steps, device, group, runs.newest_step, progress.message)
    return TrainRun(
        params=params,
        paths=paths,
        group=group,
        device=device,
        progress=progress,
        rows=data.rows,
        image_size=data.image_size,
        steps=data.steps,
        training=training,
        train_step=TrainStep(
            params=params,
            steps=data.steps,
            state=training.state,
            vgg=content.network,
            device=device,
            bf16=bf16,
            group=group,
            compiled=compiled,
            report=progress.message,
        ),
        monitor=Monitor(
            params=params,
            steps=data.steps,
            training=training,
            validation=_validation(params, data, device),
            group=group,
            recorder=recorder,
            progress=progress,
        ),
        description=runs.description(compiled),
        checkpoints=runs.checkpoints(compiled),
        metadata=_metadata(runs, training, content),
    )


@dataclass(frozen=True)
class _Runs:
    """The two runs that a training may be one of: with compiled networks, and without."""

    params: TrainParams
    paths: TrainPaths
    config: Mapping[str, object]
    """the generator's"""
    steps: int
    bf16: bool
    inputs: Mapping[str, str | None]

    @property
    def precision(self) -> str:
        return "bf16" if self.bf16 else "fp32"

    @cached_property
    def code(self) -> Mapping[str, str]:
        return code_of(TRAINER)

    def description(self, compiled: bool) -> Description:
        """Return all that shapes the weights."""
        return describe_run(
            self.params,
            self.config,
            self.steps,
            self.precision,
            compiled,
            self.inputs,
            self.code,
            training_versions(),
        )

    def checkpoints(self, compiled: bool) -> Checkpoints:
        return Checkpoints(self.paths.checkpoints / short_hash(self.description(compiled)))

    def newest_step(self, compiled: bool) -> int | None:
        """Return the step of the newest checkpoint to go on from. Raises `PipelineError`."""
        return self.checkpoints(compiled).newest_step(self.steps)


@dataclass(frozen=True)
class _Data:
    rows: list[Row]
    """the manifest's training rows"""
    validation_images: np.ndarray
    """`(N, H, W, 3) uint8`"""
    steps: int

    @property
    def image_size(self) -> int:
        """The side of every image, pixels."""
        return int(self.validation_images.shape[1])


def _read_data(params: TrainParams, paths: TrainPaths) -> _Data:
    """Read manifest and validation images. Raises `PipelineError` where params do not fit them."""
    rows, validation_rows = _read_rows(params, paths)
    steps = _steps(params, len(rows))
    data = _Data(rows, read_images(paths.resized, validation_rows), steps)
    _check_crop(params, data.image_size, paths)
    return data


def _steps(params: TrainParams, images: int) -> int:
    """Return the number of steps. Raises `UsageError` where the discriminator is never trained."""
    if params.steps is not None:
        return params.steps
    steps = math.ceil(params.epochs * images / params.batch)
    pretraining = resolved_pretrain_steps(params, steps)
    if params.adv_weight > 0 and steps <= pretraining:
        raise UsageError(
            f"train.epochs: {params.epochs} epochs of {images} images are {steps} steps, which end "
            f"in the pre-training of {pretraining}, before the discriminator; raise epochs, lower "
            "pretrain_steps, or set adv_weight to 0"
        )
    return steps


def _read_rows(params: TrainParams, paths: TrainPaths) -> tuple[list[Row], list[Row]]:
    """Return the manifest's rows to train on and those to validate on."""
    rows = read_manifest(paths.manifest)
    training_rows = _rows_of_split("train", rows, paths.manifest)
    validation_rows = _rows_of_split("val", rows, paths.manifest)
    return training_rows, validation_rows[: params.validation_images]


def _rows_of_split(split: str, rows: list[Row], manifest: Path) -> list[Row]:
    """Return the rows of a split. Raises `PipelineError` where there are none."""
    in_split = [row for row in rows if row.split == split]
    if not in_split:
        raise PipelineError(
            f"{manifest}: has no {split} rows; change manifest.val_fraction and "
            "manifest.test_fraction, or scrape more"
        )
    return in_split


def _check_batch(params: TrainParams, group: Group) -> None:
    if params.batch % group.size:
        raise PipelineError(
            f"train.batch: {params.batch} cannot be shared by {group.size} processes"
        )


def _validation(params: TrainParams, data: _Data, device: torch.device) -> Validation:
    images = data.validation_images
    lpips = load_lpips(_hr_side(images.shape[1], params), device)
    return Validation.from_images(images, params.scale, lpips, params.degradation)


def _hr_side(image_size: int, params: TrainParams) -> int:
    """Return the largest multiple of the scale within an image's side, pixels."""
    return image_size // params.scale * params.scale


def _check_crop(params: TrainParams, image_size: int, paths: TrainPaths) -> None:
    side = _hr_side(image_size, params)
    if params.crop > side:
        raise PipelineError(
            f"train.crop: {params.crop} is larger than the images of {paths.manifest}, "
            f"{side} pixels"
        )


def _uses_bf16(params: TrainParams, generator: Generator, device: torch.device) -> bool:
    if params.precision == "auto" and not generator.allows_bf16:
        return False
    return uses_bf16(params.precision, device)


def _metadata(runs: _Runs, training: CheckpointedState, content: ContentNetwork) -> dict[str, str]:
    params = runs.params
    return {
        "params": json.dumps(params.model_dump(mode="json"), sort_keys=True),
        "steps": str(runs.steps),
        "manifest_sha256": str(runs.inputs["manifest_sha256"]),
        "vgg": "none" if content.network is None else params.vgg,
        "adversarial": "true" if training.state.adversary is not None else "false",
        # The version is a class of torch's own, which a checkpoint must not hold.
        "torch": str(torch.__version__),
        "precision": runs.precision,
        "code": short_hash(runs.code),
    }
