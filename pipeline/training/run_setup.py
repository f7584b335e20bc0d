"""Everything that a training needs before its first step."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from pipeline.devices import is_slow, uses_bf16
from pipeline.errors import PipelineError, UsageError
from pipeline.fingerprints import code_of, short_hash, training_versions
from pipeline.images.degradation import degradation_of
from pipeline.networks import Generator
from pipeline.params import TrainParams
from pipeline.progress import Progress
from pipeline.training.checkpointed_state import CheckpointedState, new_checkpointed_state
from pipeline.training.checkpoints import Checkpoints
from pipeline.training.compiling import is_compiled
from pipeline.training.distributed import Group
from pipeline.training.history import Recorder
from pipeline.training.image_order import ImageOrder
from pipeline.training.monitor import Monitor
from pipeline.training.perceptual import (
    ContentNetwork,
    load_content_network,
    load_extra_losses,
    load_lpips,
)
from pipeline.training.run_description import Description, describe_run
from pipeline.training.run_images import RunImages, read_run_images
from pipeline.training.run_inputs import VGG_CHOICES, TrainPaths, input_hashes
from pipeline.training.schedules import resolved_pretrain_steps
from pipeline.training.sources import ImageSource
from pipeline.training.step import TrainStep
from pipeline.training.validation import Validation
from pipeline.wording import counted

# Its imports are all modules that shape the weights.
TRAINER = "pipeline.training.trainer"
_INPUTS_NAMED = ("train_images_sha256", "folders_sha256", "init_sha256", "resume_sha256")


@dataclass(frozen=True)
class TrainRun:
    """A training that is ready to be resumed and to take its steps."""

    params: TrainParams
    paths: TrainPaths
    group: Group
    device: torch.device
    progress: Progress
    sources: Sequence[ImageSource]
    """the images to train on"""
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
    """Read what images there are, load pretrained networks, build those to be trained.

    Raises `PipelineError` where params, files and group do not fit each other, as far as possible
    before VGG16's weights are downloaded.
    """
    _check_batch(params, group)
    inputs = input_hashes(params, paths)
    images = read_run_images(params, paths, progress)
    steps = _steps(params, ImageOrder.of(images.sources, params.seed).epoch)
    inputs |= {
        "train_images_sha256": images.train_images_sha256,
        "folders_sha256": images.folders_sha256,
    }
    # Networks are loaded from resolved paths; files and messages have those that the user gave.
    resolved = paths.resolve_params(params)
    training = new_checkpointed_state(resolved, device, group)
    precision = _precision(params, training.state.generator, device)
    if is_slow(precision, device):
        progress.message(
            f"note: train.precision {precision} is slow on this CPU; auto and fp32 are faster"
        )
    content = load_content_network(resolved, device, precision, progress)
    extra_losses, hashes = load_extra_losses(params, device, progress)
    inputs |= {"vgg_sha256": content.sha256}
    inputs |= {f"{name}_loss_sha256": hashes.get(name) for name in ("lpips", "dists")}
    runs = _Runs(params, paths, training.state.generator.config, steps, precision, inputs)
    compiled = is_compiled(params, steps, device, group, runs.newest_step, progress.message)
    return TrainRun(
        params=params,
        paths=paths,
        group=group,
        device=device,
        progress=progress,
        sources=images.sources,
        steps=steps,
        training=training,
        train_step=TrainStep(
            params=params,
            steps=steps,
            state=training.state,
            vgg=content.network,
            device=device,
            precision=precision,
            group=group,
            extra_losses=extra_losses,
            compiled=compiled,
            report=progress.message,
        ),
        monitor=Monitor(
            params=params,
            steps=steps,
            training=training,
            validation=_validation(params, images, device),
            group=group,
            recorder=recorder,
            progress=progress,
            run_key=runs.checkpoints(compiled).folder.name,
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
    precision: str
    inputs: Mapping[str, str | None]

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
            training_versions(self.params),
        )

    def checkpoints(self, compiled: bool) -> Checkpoints:
        return Checkpoints(self.paths.checkpoints / short_hash(self.description(compiled)))

    def newest_step(self, compiled: bool) -> int | None:
        """Return the step of the newest checkpoint to go on from. Raises `PipelineError`."""
        return self.checkpoints(compiled).newest_step(self.steps)


def _steps(params: TrainParams, samples: int) -> int:
    """Return the number of steps, for epochs of so many `samples`.

    Raises `UsageError` where the discriminator is never trained.
    """
    if params.steps is not None:
        return params.steps
    steps = math.ceil(params.epochs * samples / params.batch)
    pretraining = resolved_pretrain_steps(params, steps)
    if params.adv_weight > 0 and steps <= pretraining:
        raise UsageError(
            f"train.epochs: {counted(params.epochs, 'epoch')} of {counted(samples, 'image')} make "
            f"{counted(steps, 'step')}, all in the pre-training of {pretraining}, before "
            "the discriminator; raise epochs, lower pretrain_steps, or set adv_weight to 0"
        )
    return steps


def _check_batch(params: TrainParams, group: Group) -> None:
    if params.batch % group.size:
        raise UsageError(
            f"train.batch: {params.batch} cannot be shared equally by "
            f"{counted(group.size, 'process', 'processes')}; change one"
        )


def _validation(params: TrainParams, images: RunImages, device: torch.device) -> Validation:
    lpips = load_lpips(images.validation_side // params.scale * params.scale, device)
    return Validation.from_images(
        images.validation_hr,
        params.scale,
        lpips,
        degradation_of(params.degradation, params.degradation_strengths),
        images.validation_lr,
    )


def _precision(params: TrainParams, generator: Generator, device: torch.device) -> str:
    """Return fp32, bf16 or fp16."""
    if params.precision != "auto":
        return params.precision
    return "bf16" if generator.allows_bf16 and uses_bf16("auto", device) else "fp32"


def public_params(params: TrainParams) -> dict[str, Any]:
    """Return params as plain values, of files and folders the names alone.

    Models and logs are published, and paths may tell who trained them.
    """
    public = params.model_dump(mode="json")
    for key in ("hr_folders", "lr_folders"):
        public[key] = {name: Path(path).name for name, path in public[key].items()}
    for key in ("val_hr_folder", "val_lr_folder", "init", "resume"):
        public[key] = public[key] and Path(public[key]).name
    if params.vgg not in VGG_CHOICES:
        name = Path(params.vgg).name
        # A file may be called like a choice.
        public["vgg"] = f"./{name}" if name in VGG_CHOICES else name
    return public


def _metadata(runs: _Runs, training: CheckpointedState, content: ContentNetwork) -> dict[str, str]:
    params = public_params(runs.params)
    return {
        "params": json.dumps(params, sort_keys=True),
        "steps": str(runs.steps),
        **{name: sha256 for name in _INPUTS_NAMED if (sha256 := runs.inputs[name]) is not None},
        "vgg": "none" if content.network is None else params["vgg"],
        "adversarial": "true" if training.state.adversary is not None else "false",
        # The version is a class of torch's own, which a checkpoint must not hold.
        "torch": str(torch.__version__),
        "precision": runs.precision,
        "code": short_hash(runs.code),
    }
