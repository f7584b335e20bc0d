"""Resuming of a run from its newest checkpoint, or from the one that the params name."""

from contextlib import ExitStack
from pathlib import Path

from pipeline.errors import PipelineError, UsageError
from pipeline.files import writing
from pipeline.locks import hold
from pipeline.networks.tensor_files import archive_damage
from pipeline.training.checkpointed import Training
from pipeline.training.checkpoints import restore
from pipeline.training.run_folders import LOCK_FILE, nearest_checkpoints, record_start
from pipeline.training.run_setup import TrainRun


def resume(run: TrainRun, lock: ExitStack) -> None:
    """Restore the newest checkpoint in all processes; `lock` then keeps others from this run.

    Raises `PipelineError`.
    """
    path = run.group.from_main(lambda: _resume_main(run, lock))
    if path is not None and not run.group.is_main:
        _restore_as_main(path, run.training)


def _resume_main(run: TrainRun, lock: ExitStack) -> Path | None:
    """Restore in the main process; return the checkpoint's file, or None at step 0."""
    folder, params, steps = run.checkpoints.folder, run.params, run.steps
    with writing(folder):
        lock.enter_context(hold(folder / LOCK_FILE, "pipeline train"))
        record_start(folder, run.description, steps, params.resume, params.init)
    messages = run.checkpoints.restore(run.training, steps)
    path = run.checkpoints.newest
    if path is None and params.resume is not None:
        path = run.paths.resolve(params.resume)
        _restore_named(path, run.training, steps)
    elif path is None and not messages:
        messages = nearest_checkpoints(run.paths.checkpoints, run.description)
    for message in messages:
        run.progress.message(message)
    if path is not None:
        step = run.training.state.step
        reached = "goes on from" if step < steps else "is already at"
        run.progress.message(f"training {reached} step {step} of {steps}")
    run.monitor.resume()
    return path


def _restore_named(path: Path, training: Training, steps: int) -> None:
    """Restore the checkpoint that `train.resume` names. Raises `PipelineError`."""
    try:
        damage = archive_damage(path)
        problem = f"is damaged ({damage})" if damage else restore(path, training)
    except (OSError, MemoryError, RuntimeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise PipelineError(f"train.resume: {path}: cannot be read now ({reason})") from None
    step = training.state.step
    if problem is None and step > steps:
        problem = f"is of step {step}, after the {steps} steps that this training has"
    if problem is not None:
        raise UsageError(f"train.resume: {path}: it {problem}")


def _restore_as_main(path: Path, training: Training) -> None:
    """Restore in another process what the main one restored. Raises `PipelineError`."""
    try:
        problem = restore(path, training)
    except (OSError, MemoryError, RuntimeError) as error:
        problem = " ".join(str(error).split())
    if problem is not None:
        raise PipelineError(
            f"{path}: one of the processes cannot read it ({problem}); models/ must lie on a "
            "file system that all of them share"
        )
