"""Training from params to a generator's file; it can be stopped at any step and resumed."""

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from pipeline.devices import device_name
from pipeline.errors import PipelineError, naming_memory_faults
from pipeline.files import writing
from pipeline.networks.files import architecture_metadata, save_generator
from pipeline.networks.generators.base import NotFiniteError
from pipeline.params import TrainParams
from pipeline.progress import Progress, Silent
from pipeline.training.checkpoints import Checkpoints, step_of
from pipeline.training.crops import Batch, RandomCrops
from pipeline.training.data import load_images
from pipeline.training.distributed import process_group
from pipeline.training.history import Figures, NullRecorder, Recorder
from pipeline.training.image_order import ImageOrder
from pipeline.training.interrupts import Interrupts
from pipeline.training.lr_crops import DegradedBatches
from pipeline.training.prefetch import Prefetcher
from pipeline.training.resuming import resume
from pipeline.training.run_folders import record_end
from pipeline.training.run_inputs import BEST_FILE, GENERATOR_FILE, TrainPaths
from pipeline.training.run_setup import TrainRun, set_up
from pipeline.training.throughput import Throughput

# One overflow may be chance; this many in a row are a run that will not recover.
MAX_SKIPPED_IN_A_ROW = 10


@dataclass(frozen=True)
class TrainResult:
    """The averaged generator's file, the number of steps, and the last validation figures.

    `skipped` of the steps did not update the generator, because gradients were not finite.
    `warnings` are signs that the training failed. `throughput` is that of the steps which this
    process took; empty where it took none.
    """

    generator: Path
    steps: int
    skipped: int
    figures: Figures
    warnings: Sequence[str]
    throughput: Figures


def train(
    params: TrainParams,
    manifest: Path,
    resized: Path,
    models: Path,
    recorder: Recorder,
    progress: Progress = Silent(),
    project: Path = Path(),
    needed: Collection[str] = (),
) -> TrainResult | None:
    """Train a generator on the manifest's training images, and on folders that the params name.

    Write the last one to `models/generator.safetensors`, and the one that validated best to
    `best.safetensors` beside it: by LPIPS where there is a discriminator and AlexNet's weights are
    available, else by PSNR. Resume the newest checkpoint of the same run in `models/checkpoints`;
    `pipeline.training.run_description` defines which runs are the same. Stopped by a signal, save a
    checkpoint and raise `KeyboardInterrupt`. Of several processes that train together only the main
    one returns a result. Raises `PipelineError`.

    `project` is where the checkpoints are kept, and where files that the params name are found, if
    the working folder is a temporary copy of it. Finished runs that hold one of the files `needed`
    are not removed.
    """
    with process_group(params.device) as (group, device), ExitStack() as exit_stack:
        if not group.is_main:
            recorder, progress = NullRecorder(), Silent()
        paths = TrainPaths(manifest, resized, models, project)
        run = set_up(params, paths, group, device, recorder, progress)
        resume(run, exit_stack)
        with _usage_hint_reported(run.checkpoints, progress):
            throughput = _take_steps(run)
            return _write_results(run, throughput, needed) if group.is_main else None


def _take_steps(run: TrainRun) -> Figures:
    """Take the steps that are missing, and return how fast. Raises `KeyboardInterrupt`."""
    if run.training.state.step >= run.steps:
        return {}
    run.training.history.add_device(device_name(run.device))
    batches = _open_batches(run)
    throughput = Throughput.of(
        run.params, run.steps, run.device, run.train_step.precision, run.group
    )
    throughput.start(run.training.state.step)
    run.monitor.start(throughput)
    try:
        with Interrupts(at_once=run.group.size == 1) as interrupts:
            _step_until_stopped(run, batches, interrupts)
    finally:
        run.progress.finish()
        if isinstance(batches, Prefetcher):
            batches.close()
    return throughput.figures(run.training.state.step)


def _step_until_stopped(
    run: TrainRun, batches: RandomCrops | Prefetcher[Batch], interrupts: Interrupts
) -> None:
    state, saved_at, skipped = run.training.state, time.monotonic(), run.training.state.skipped
    while state.step < run.steps:
        with _memory_faults_named(run, f"step {state.step + 1}"):
            result = run.train_step(batches(state.step))
        skipped = _report_skipped(run, skipped)
        with _overflow_reported(run), _memory_faults_named(run, f"step {state.step}"):
            run.monitor.after_step(result)
        stop = run.group.any_process(interrupts.stop, run.device)
        due = time.monotonic() - saved_at >= run.params.checkpoint_seconds
        if run.group.is_main and (due or stop or state.step == run.steps):
            _save_checkpoint(run)
            saved_at = time.monotonic()
        if stop and state.step < run.steps:
            raise KeyboardInterrupt


def _open_batches(run: TrainRun) -> RandomCrops | Prefetcher[Batch]:
    params, group = run.params, run.group
    # The chain is computed by the host, in threads: crops on a GPU would be copied back.
    device = torch.device("cpu") if run.train_step.lr_crops.is_chain else run.device
    images = load_images(run.sources, params.batch // group.size, device, group.size, run.progress)
    order = ImageOrder.of(run.sources, params.seed)
    crops = RandomCrops.from_params(params, images.load, order, group.rank, group.size)
    if run.train_step.lr_crops.is_chain:
        degraded = DegradedBatches(crops, run.train_step.lr_crops)
        return Prefetcher(degraded, run.steps, images.threads)
    return Prefetcher(crops, run.steps, images.threads) if images.prefetch else crops


def _report_skipped(run: TrainRun, reported: int) -> int:
    """Report steps that were skipped, beyond those `reported`; return how many there are.

    A GPU is read no more often than the losses are. Raises `PipelineError` after too many in a row.
    """
    state = run.training.state
    if run.device.type == "cuda" and state.step % run.params.log_every and state.step < run.steps:
        return reported
    skipped, in_a_row = state.skips.tolist()
    if skipped > reported:
        run.progress.message(
            f"step {state.step}: {skipped - reported} skipped, its gradients were not finite"
        )
    if in_a_row >= MAX_SKIPPED_IN_A_ROW:
        raise run.overflow_error(f"the gradients were not finite in the last {in_a_row} steps")
    return int(skipped)


def _save_checkpoint(run: TrainRun) -> None:
    state = run.training.state
    metadata = run.generator_metadata(state.step) | architecture_metadata(state.ema)
    run.checkpoints.save(run.training, metadata)


def _write_results(run: TrainRun, throughput: Figures, needed: Collection[str]) -> TrainResult:
    """Write the generators, and remove the checkpoints that are no longer needed."""
    state = run.training.state
    with _overflow_reported(run):
        final = run.monitor.final_validation()
    path, best = run.paths.models / GENERATOR_FILE, run.paths.models / BEST_FILE
    with writing(path):
        save_generator(path, state.ema, run.generator_metadata(state.step))
    with writing(best):
        save_generator(best, final.best, run.generator_metadata(final.best_step))
    with writing(run.checkpoints.folder):
        for line in record_end(run.checkpoints, run.steps, needed):
            run.progress.message(line)
    return TrainResult(path, state.step, state.skipped, final.figures, final.warnings, throughput)


def _memory_faults_named(run: TrainRun, work: str) -> AbstractContextManager[None]:
    """Say in one line what takes less memory. Raises `PipelineError`."""
    params = run.params
    advice = (
        f"lower train.batch ({params.batch}) or train.crop ({params.crop}), or raise "
        f"train.accumulate ({params.accumulate}), which computes a batch in so many parts"
    )
    return naming_memory_faults(f"training: {work}", advice)


@contextmanager
def _overflow_reported(run: TrainRun) -> Iterator[None]:
    """Say what to do about a generator's result that is not finite. Raises `PipelineError`."""
    try:
        yield
    except NotFiniteError as error:
        raise run.overflow_error(str(error)) from None


@contextmanager
def _usage_hint_reported(checkpoints: Checkpoints, progress: Progress) -> Iterator[None]:
    """Report how to use the newest checkpoint, if there is one, whatever stops the training."""
    try:
        yield
    except PipelineError as error:
        raise type(error)("; ".join([str(error), *_usage_hint(checkpoints)])) from None
    except BaseException:
        for text in _usage_hint(checkpoints):
            progress.message(text)
        raise


def _usage_hint(checkpoints: Checkpoints) -> list[str]:
    """Return a line that says how to use the newest checkpoint, or none."""
    path = checkpoints.newest
    if path is None:
        return []
    return [f"step {step_of(path)} can be used: pipeline upscale picture.png --model {path}"]
