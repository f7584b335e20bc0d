"""A training from its params to a generator's file, whatever stops it on the way."""

import json
import math
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from pipeline.devices import computes_in_bf16, device_name
from pipeline.errors import PipelineError, UsageError
from pipeline.files import sha256_of, writing
from pipeline.fingerprints import code_of, training_versions
from pipeline.images.shards import read_images
from pipeline.locks import hold
from pipeline.manifest.rows import Row, read_manifest
from pipeline.networks.files import architecture_metadata, save_generator
from pipeline.networks.generators.base import NotFiniteError
from pipeline.networks.tensor_files import archive_damage
from pipeline.params import TrainParams
from pipeline.progress import Progress, Silent
from pipeline.training.checkpoints import Checkpoints, restore, step_of
from pipeline.training.crops import Patches, Prefetched
from pipeline.training.data import load_images
from pipeline.training.distributed import Group, joined
from pipeline.training.history import Course, Figures, Recorder, Unrecorded
from pipeline.training.interrupts import Interrupts
from pipeline.training.perceptual import content_network, perceptual_network
from pipeline.training.run_folders import (
    LOCK_FILE,
    begin,
    describe,
    finish,
    key_of,
    others,
    recorded_resume_sha256,
)
from pipeline.training.state import State, new_state
from pipeline.training.step import StepResult, Updates
from pipeline.training.validation import Validation

RESULTS = ("generator.safetensors", "best.safetensors")
VGG_CHOICES = ("imagenet", "random")
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
    project: Path = Path(),
    needed: Collection[str] = (),
) -> TrainResult | None:
    """Train a generator on the manifest's training images.

    Writes the last one to `models/generator.safetensors`, and the one that validated best to
    `best.safetensors` beside it: by LPIPS where there is a discriminator and AlexNet's weights are
    here, else by PSNR. Goes on from the newest checkpoint of the same run in `models/checkpoints`;
    `pipeline.training.run_folders` says what makes runs the same. Stopped by a signal, it saves one
    and raises `KeyboardInterrupt`. Of several processes that train together only the leader gets a
    result. Raises `PipelineError`.

    `project` is where the checkpoints are kept, and where files that the params name are found, if
    the working folder is a temporary copy of it. Finished runs that hold one of the files `needed`
    are not removed.
    """
    with joined(params.device) as (group, device), ExitStack() as lock:
        if not group.leads:
            recorder, progress = Unrecorded(), Silent()
        where = _Place(manifest, resized, models, project, group, device)
        training = _Training(params, where, recorder, progress)
        training.resume(lock)
        with training.usable_reported():
            training.run()
            return training.finish(needed) if group.leads else None


@dataclass(frozen=True)
class _Place:
    """What is read and written, by which of how many processes, and where it computes."""

    manifest: Path
    resized: Path
    models: Path
    project: Path
    group: Group
    device: torch.device

    @property
    def checkpoints(self) -> Path:
        """The folder of all kept runs."""
        return self.project / self.models / "checkpoints"

    def file(self, name: str) -> Path:
        """Return a file that the params name."""
        path = Path(name)
        return path if path.exists() else self.project / path

    def located(self, params: TrainParams) -> TrainParams:
        """Return `params` with the paths in them as they can be read here."""
        named = {"init": params.init, "resume": params.resume, "vgg": params.vgg}
        paths = {key: name for key, name in named.items() if name not in (None, *VGG_CHOICES)}
        return params.model_copy(
            update={key: str(self.file(str(name))) for key, name in paths.items()}
        )


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
        located = place.located(params)
        inputs = _inputs(params, place)
        content = content_network(located, self.device, progress)
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
        bf16 = params.precision == "bf16" or (
            params.precision == "auto" and computes_in_bf16(self.device)
        )
        self.state = new_state(located, self.device, self.group)
        code, versions = _code_and_versions()
        precision = "bf16" if bf16 else "fp32"
        self._metadata = {
            "params": json.dumps(params.model_dump(mode="json"), sort_keys=True),
            "manifest_sha256": str(inputs["manifest_sha256"]),
            "vgg": "none" if content.network is None else params.vgg,
            "adversarial": "true" if self.state.adversary is not None else "false",
            # The version is a class of torch's own, which a checkpoint must not hold.
            "torch": str(torch.__version__),
            "precision": precision,
            "code": key_of(code),
        }
        self.description = describe(
            params,
            self.state.generator.config,
            self.steps,
            precision,
            inputs | {"vgg_sha256": content.sha256},
            code,
            versions,
        )
        self.checkpoints = Checkpoints(place.checkpoints / key_of(self.description))
        self.update = Updates(
            params,
            self.steps,
            self.state,
            content.network,
            self.device,
            bf16,
            self.group,
            report=progress.message,
        )
        self.course = Course(
            params, self.steps, self.state, validation, self.group, recorder, progress
        )

    def resume(self, lock: ExitStack) -> None:
        """Become what the newest checkpoint says; `lock` then keeps others from this run."""
        path = self.group.from_leader(lambda: self._begin(lock))
        if path is not None and not self.group.leads:
            self._follow(path)

    def run(self) -> None:
        """Take the steps that are missing."""
        if self.state.step >= self.steps:
            return
        self.state.note_device(device_name(self.device))
        self._skipped = self.state.skipped
        batches = self._read_batches()
        self.course.begin()
        saved_at = time.monotonic()
        try:
            with Interrupts(at_once=self.group.size == 1) as interrupts:
                while self.state.step < self.steps:
                    result = self.update(batches(self.state.step))
                    self._check_skipped()
                    self._record(result)
                    stop = self.group.any(interrupts.stop, self.device)
                    due = time.monotonic() - saved_at >= self.params.checkpoint_seconds
                    if self.group.leads and (due or stop or self.state.step == self.steps):
                        self._save()
                        saved_at = time.monotonic()
                    if stop and self.state.step < self.steps:
                        raise KeyboardInterrupt
        finally:
            self.progress.finish()
            if isinstance(batches, Prefetched):
                batches.close()

    def finish(self, needed: Collection[str]) -> TrainResult:
        """Write the generators, and leave of the checkpoints what is still needed."""
        state, models = self.state, self.place.models
        with self._overflow_reported():
            closing = self.course.close()
        path, best = (models / name for name in RESULTS)
        with writing(path):
            save_generator(path, state.average, self.metadata(state.step))
        with writing(best):
            save_generator(best, closing.best, self.metadata(closing.best_step))
        with writing(self.checkpoints.folder):
            for line in finish(self.checkpoints, self.steps, needed):
                self.progress.message(line)
        return TrainResult(path, state.step, state.skipped, closing.figures)

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
            params.recolour,
        )
        return patches if images.at_hand else Prefetched(patches)

    def _record(self, result: StepResult) -> None:
        with self._overflow_reported():
            self.course.record(result)

    @contextmanager
    def _overflow_reported(self) -> Iterator[None]:
        try:
            yield
        except NotFiniteError as error:
            raise self._overflow(str(error)) from None

    def _begin(self, lock: ExitStack) -> Path | None:
        """Restore the state in the leading process; return the file, or None at step 0."""
        checkpoints, params = self.checkpoints, self.params
        with writing(checkpoints.folder):
            lock.enter_context(hold(checkpoints.folder / LOCK_FILE, "pipeline train"))
            begin(checkpoints.folder, self.description, self.steps, params.resume, params.init)
        messages = checkpoints.restore(self.state, self.steps)
        path = checkpoints.newest
        if path is None and params.resume is not None:
            path = self.place.file(params.resume)
            _restore_given(path, self.state, self.steps)
        elif path is None and not messages:
            messages = others(self.place.checkpoints, self.description)
        for message in messages:
            self.progress.message(message)
        if path is not None:
            reached = "goes on from" if self.state.step < self.steps else "is already at"
            self.progress.message(f"training {reached} step {self.state.step} of {self.steps}")
        self.course.check_best()
        self.course.replay()
        return path

    def _save(self) -> None:
        average = architecture_metadata(self.state.average)
        self.checkpoints.save(self.state, self.metadata(self.state.step) | average)

    def _follow(self, path: Path) -> None:
        """Restore the state as the leading process did."""
        try:
            problem = restore(path, self.state)
        except (OSError, MemoryError, RuntimeError) as error:
            problem = " ".join(str(error).split())
        if problem is not None:
            raise PipelineError(
                f"{path}: one of the processes cannot read it ({problem}); models/ must lie on a "
                "file system that all of them share"
            )

    @contextmanager
    def usable_reported(self) -> Iterator[None]:
        """Whatever stops the training, say how to use what it has reached."""
        try:
            yield
        except PipelineError as error:
            raise type(error)("; ".join([str(error), *self._usable()])) from None
        except BaseException:
            for text in self._usable():
                self.progress.message(text)
            raise

    def _usable(self) -> list[str]:
        """Return how to use the newest checkpoint as it is, if there is one."""
        path = self.checkpoints.newest
        if path is None:
            return []
        return [f"step {step_of(path)} can be used: pipeline upscale picture.png --model {path}"]

    def _check_skipped(self) -> None:
        """Tell of steps that moved nothing; a GPU is asked no more often than it must be."""
        step = self.state.step
        if self.device.type == "cuda" and step % self.params.log_every and step < self.steps:
            return
        skipped, in_a_row = self.state.skips.tolist()
        if skipped > self._skipped:
            self.progress.message(
                f"step {step}: {skipped - self._skipped} skipped, the loss was not finite"
            )
        self._skipped = skipped
        if in_a_row >= MAX_SKIPPED_IN_A_ROW:
            raise self._overflow(f"the loss was not finite in the last {in_a_row} steps")

    def _overflow(self, problem: str) -> PipelineError:
        return PipelineError(
            f"training: step {self.state.step}: {problem}; lower train.lr, or set train.precision "
            "to fp32"
        )

    def metadata(self, step: int) -> dict[str, str]:
        """Return what the file of the generator after `step` steps tells about its making."""
        return self._metadata | {"step": str(step), "device": ", ".join(self.state.devices)}


def _code_and_versions() -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return the fingerprints of the code that shapes the weights, and libraries' versions."""
    return code_of(__name__), training_versions()


def _inputs(params: TrainParams, place: _Place) -> dict[str, str | None]:
    """Return the SHA-256 of each file that shapes the weights, None where the params name none.

    Raises `UsageError` where the params name one that is not there.
    """
    return {
        "manifest_sha256": sha256_of(place.manifest),
        "init_sha256": _init_sha256(params, place),
        "resume_sha256": _resume_sha256(params, place),
    }


def _init_sha256(params: TrainParams, place: _Place) -> str | None:
    if params.init is None:
        return None
    path = place.file(params.init)
    try:
        return sha256_of(path)
    except OSError as error:
        why = ""
        if path.parent == place.models and path.name in RESULTS:
            why = "; it is a result of this stage, removed before the stage runs: name a copy of it"
        raise UsageError(f"train.init: {params.init}: {error.strerror}{why}") from None


def _resume_sha256(params: TrainParams, place: _Place) -> str | None:
    if params.resume is None:
        return None
    try:
        return sha256_of(place.file(params.resume))
    except OSError as error:
        # Once the run has checkpoints of its own, the file is needed no longer.
        known = recorded_resume_sha256(place.checkpoints, params.resume)
        if known is None:
            raise UsageError(f"train.resume: {params.resume}: {error.strerror}") from None
        return known


def _restore_given(path: Path, state: State, steps: int) -> None:
    """Let `state` become what another run's checkpoint says. Raises `PipelineError`."""
    try:
        damage = archive_damage(path)
        problem = f"is damaged ({damage})" if damage else restore(path, state)
    except (OSError, MemoryError, RuntimeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise PipelineError(f"train.resume: {path}: cannot be read now ({reason})") from None
    if problem is None and state.step > steps:
        problem = f"is of step {state.step}, after the {steps} steps that this training has"
    if problem is not None:
        raise UsageError(f"train.resume: {path}: it {problem}")


def _rows_of(split: str, rows: list[Row], manifest: Path) -> list[Row]:
    found = [row for row in rows if row.split == split]
    if not found:
        raise PipelineError(
            f"{manifest}: has no {split} rows; change manifest.val_fraction and "
            "manifest.test_fraction, or scrape more"
        )
    return found
