"""Everything that a training needs before its first step."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from pipeline.devices import uses_bf16
from pipeline.errors import PipelineError, UsageError
from pipeline.fingerprints import code_of, training_versions
from pipeline.images.shards import read_images
from pipeline.manifest.rows import Row, read_manifest
from pipeline.params import TrainParams
from pipeline.progress import Progress
from pipeline.training.checkpointed import Training, new_training
from pipeline.training.checkpoints import Checkpoints
from pipeline.training.distributed import Group
from pipeline.training.history import Recorder
from pipeline.training.monitor import Monitor
from pipeline.training.perceptual import ContentNetwork, load_content_network, load_lpips
from pipeline.training.run_description import Description, describe_run, run_key
from pipeline.training.run_inputs import TrainPaths, input_hashes
from pipeline.training.schedules import pretrain_steps
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
    training: Training
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

    def not_finite(self, problem: str) -> PipelineError:
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

    Raises `PipelineError` where params, files and group do not fit each other.
    """
    _check_batch(params, group)
    rows, validation_rows = _read_rows(params, paths)
    resolved = paths.resolve_params(params)
    inputs = input_hashes(params, paths)
    content = load_content_network(resolved, device, progress)
    images = read_images(paths.resized, validation_rows)
    image_size = images.shape[1]
    validation = _new_validation(images, params, device)
    _check_crop(params, image_size, paths)
    steps = _steps(params, len(rows))
    bf16 = uses_bf16(params.precision, device)
    training = new_training(resolved, device, group)
    state, vgg = training.state, content.network
    inputs["vgg_sha256"] = content.sha256
    description = _describe(params, state.generator.config, steps, bf16, inputs)
    return TrainRun(
        params,
        paths,
        group,
        device,
        progress,
        rows,
        image_size,
        steps,
        training,
        TrainStep(params, steps, state, vgg, device, bf16, group, report=progress.message),
        Monitor(params, steps, training, validation, group, recorder, progress),
        description,
        Checkpoints(paths.checkpoints / run_key(description)),
        _metadata(params, training, content, description, bf16),
    )


def _steps(params: TrainParams, images: int) -> int:
    """Return the number of steps. Raises `UsageError` where the discriminator is never trained."""
    if params.steps is not None:
        return params.steps
    steps = math.ceil(params.epochs * images / params.batch)
    pretraining = pretrain_steps(params, steps)
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


def _new_validation(images: np.ndarray, params: TrainParams, device: torch.device) -> Validation:
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


def _precision(bf16: bool) -> str:
    return "bf16" if bf16 else "fp32"


def _describe(
    params: TrainParams,
    config: Mapping[str, object],
    steps: int,
    bf16: bool,
    inputs: Mapping[str, str | None],
) -> Description:
    code, versions = code_of(TRAINER), training_versions()
    return describe_run(params, config, steps, _precision(bf16), inputs, code, versions)


def _metadata(
    params: TrainParams,
    training: Training,
    content: ContentNetwork,
    description: Description,
    bf16: bool,
) -> dict[str, str]:
    return {
        "params": json.dumps(params.model_dump(mode="json"), sort_keys=True),
        "manifest_sha256": str(description["inputs"]["manifest_sha256"]),
        "vgg": "none" if content.network is None else params.vgg,
        "adversarial": "true" if training.state.adversary is not None else "false",
        # The version is a class of torch's own, which a checkpoint must not hold.
        "torch": str(torch.__version__),
        "precision": _precision(bf16),
        "code": run_key(description["code"]),
    }
