"""Resuming of a run from its newest checkpoint, or from the one that the params name."""

from contextlib import ExitStack
from pathlib import Path

from pipeline.errors import PipelineError, UsageError
from pipeline.files import writing
from pipeline.locks import hold
from pipeline.networks.files import load_generator
from pipeline.networks.tensor_files import DamagedArchiveError, error_line
from pipeline.training.checkpointed_state import CheckpointedState
from pipeline.training.checkpoints import OtherContentError, load_checkpoint
from pipeline.training.run_folders import LOCK_FILE, nearest_checkpoints, record_start
from pipeline.training.run_setup import TrainRun
from pipeline.wording import counted


def resume(run: TrainRun, exit_stack: ExitStack) -> None:
    """Restore the newest checkpoint in all processes.

    The run's lock, in `exit_stack`, then keeps others from it. Raises `PipelineError`.
    """
    path = run.group.from_main(lambda: _resume_in_main_process(run, exit_stack))
    if path is not None and not run.group.is_main:
        _restore_in_other_process(path, run.training)


def _resume_in_main_process(run: TrainRun, exit_stack: ExitStack) -> Path | None:
    """Restore a checkpoint; return its file, or None at step 0."""
    folder, params, steps = run.checkpoints.folder, run.params, run.steps
    with writing(folder):
        exit_stack.enter_context(hold(folder / LOCK_FILE, "pipeline train"))
        record_start(folder, run.description, steps, params.resume, params.init)
    messages = run.checkpoints.restore_newest(run.training, steps)
    path = run.checkpoints.newest
    if path is None and params.resume is not None:
        path = run.paths.resolve(params.resume)
        _restore_named(path, run.training, steps)
    elif path is None and not messages:
        init = None if params.init is None else run.paths.resolve(params.init).resolve()
        messages = nearest_checkpoints(run.paths.checkpoints, run.description, init)
    for message in messages:
        run.progress.message(message)
    if path is not None:
        step = run.training.state.step
        reached = "goes on from" if step < steps else "is already at"
        run.progress.message(f"training {reached} step {step} of {steps}")
    run.monitor.resume()
    return path


def _restore_named(path: Path, training: CheckpointedState, steps: int) -> None:
    """Restore the checkpoint that `train.resume` names. Raises `PipelineError`."""
    try:
        problem = load_checkpoint(path, training)
    except DamagedArchiveError as damage:
        problem = _other_content(path) or f"is damaged, or no checkpoint ({damage})"
    except OtherContentError as other:
        problem = _other_content(path) or str(other)
    except (OSError, MemoryError, RuntimeError) as error:
        raise PipelineError(
            f"train.resume: {path}: cannot be read now ({error_line(error)})"
        ) from None
    step = training.state.step
    if problem is None and step > steps:
        problem = f"is of step {step}, after the {counted(steps, 'step')} that this training has"
    if problem is not None:
        raise UsageError(f"train.resume: {path}: it {problem}")


def _other_content(path: Path) -> str | None:
    """Describe a file that is no checkpoint but holds a generator; None for any other."""
    try:
        load_generator(path)
    except PipelineError:
        return None
    return (
        "holds a generator's weights, without what a checkpoint has beside them; name it in "
        "train.init, to start from them"
    )


def _restore_in_other_process(path: Path, training: CheckpointedState) -> None:
    """Restore what the main process restored. Raises `PipelineError`."""
    try:
        problem = load_checkpoint(path, training)
    except (OtherContentError, DamagedArchiveError, OSError, MemoryError, RuntimeError) as error:
        problem = error_line(error)
    if problem is not None:
        raise PipelineError(
            f"{path}: one of the processes cannot read it ({problem}); models/ must lie on a "
            "file system that all of them share"
        )
