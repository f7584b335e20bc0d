"""`pipeline train`: the generator."""

import os
import tempfile
import traceback
from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import PipelineError, UsageError, fault_line
from pipeline.manifest.rows import measured_rows
from pipeline.named_files import check_inputs, evaluation_inputs, inputs_of
from pipeline.params import TrainParams
from pipeline.params.file import load_params
from pipeline.shipped import named_file
from pipeline.wording import counted
from stages.console import ConsoleProgress
from stages.interruption import INTERRUPTED
from stages.live_recorder import LiveRecorder
from stages.loggers.choice import chosen_loggers, make_loggers
from stages.loggers.train_log import TrainLog
from stages.paths import MANIFEST, MODELS, REPORTS, RESIZED
from stages.runner import (
    PARAMS_FILE,
    Stage,
    naming_options,
    project_folder,
    run_stage,
    warn_of_unwatched,
)

TRAIN_REPORTS = REPORTS / "train"
RUNS = TRAIN_REPORTS / "runs"
"""Logs, one folder per run."""


def run(params: TrainParams, progress: ConsoleProgress) -> None:
    """Train the generator: models/generator.safetensors.

    Stopped at any time, the same command goes on where it stopped. Curves and samples go to
    reports/train/, a log of each run to reports/train/runs/.
    """
    from pipeline.training.distributed import in_process_group

    if not in_process_group():
        chosen_loggers()
        _check_named_files(params, progress)
        for name, why in params.without_effect.items():
            progress.note(f"note: train.{name} has no effect, because {why}")
    if params.processes > 1 and not in_process_group():
        progress.show_notes()
        _launch(params, progress)
    else:
        print(_train(params, progress), end="")


def _check_named_files(params: TrainParams, progress: ConsoleProgress) -> None:
    """Warn of files that DVC does not watch; under DVC check what `evaluate` will need.

    DVC runs `evaluate` after this stage: what is missing, or of another scale, would only be found
    when hours are over.
    """
    vgg = params.vgg if params.vgg not in ("imagenet", "random") else None
    own_files: dict[str, str | Mapping[str, str] | None] = {
        "init": params.init,
        "resume": params.resume,
        "vgg": vgg,
        "hr_folders": params.hr_folders,
        "lr_folders": params.lr_folders,
        "val_hr_folder": params.val_hr_folder,
        "val_lr_folder": params.val_lr_folder,
    }
    warn_of_unwatched(inputs_of("train", own_files), progress)
    if os.environ.get("DVC_STAGE"):
        evaluate = load_params(PARAMS_FILE).evaluate
        check_inputs(evaluation_inputs(evaluate), running="train")
        _check_scales(evaluate.models, params.scale)
        if evaluate.hr_folder is None:
            measured_rows(MANIFEST, evaluate.split)


def _check_scales(models: Mapping[str, str], scale: int) -> None:
    """Raise `UsageError` where a model that `evaluate` compares is known to have another scale."""
    from pipeline.model_header import scale_in_header

    for name, path in models.items():
        theirs = scale_in_header(named_file(path))
        if theirs is not None and theirs != scale:
            raise UsageError(
                f"evaluate.models.{name}: enlarges {counted(theirs, 'time')}, the generator of "
                f"train.scale {scale} does not, so that they cannot be compared; remove it"
            )


def _launch(params: TrainParams, progress: ConsoleProgress) -> None:
    """Train in several processes; raise one error for all of them."""
    from pipeline.training.distributed import launch
    from pipeline.training.heartbeats import SILENT_SECONDS, watched

    def report(file: Path) -> None:
        rank, process = file.stem.split("-")
        progress.message(
            f"training: process {rank} of {params.processes}, pid {process}, gave no sign of life "
            f"for {SILENT_SECONDS:.0f} seconds, and the others wait for it: it is stopped, or "
            "memory is short"
        )

    with tempfile.TemporaryDirectory() as folder:
        with watched(Path(folder), "*.alive", report):
            code = launch(params.processes, _train_in_group, params, Path(folder))
        problem = _first_problem(Path(folder))
        summaries = [path.read_text(encoding="utf-8") for path in Path(folder).glob("*.summary")]
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    if code:
        message = problem or "training: a process was killed; run again to go on"
        raise (UsageError if code == UsageError.exit_code else PipelineError)(message)
    print("".join(summaries), end="")


def _first_problem(folder: Path) -> str:
    """Return the error of one process, else the traceback of one, else nothing.

    The others failed because they lost their connection to it.
    """
    for pattern in ("*.error", "*.traceback"):
        for path in sorted(folder.glob(pattern)):
            return path.read_text(encoding="utf-8")
    return ""


def _train_in_group(params: TrainParams, problems: Path) -> None:
    """Train in one of several processes; write the error that stops it to a file in `problems`."""
    import torch

    from pipeline.machine_limits import usable_cores
    from pipeline.processes import interrupt_on_signals
    from pipeline.training.heartbeats import beating

    # Also SIGINT, which PyTorch sends when the parent is killed: background jobs may ignore it.
    interrupt_on_signals()
    torch.set_num_threads(max(1, usable_cores() // params.processes))
    sign = problems / f"{os.environ['RANK']}-{os.getpid()}.alive"
    try:
        with beating(sign), naming_options("train", ()):
            summary = _train(params, ConsoleProgress())
        if summary:
            # The first process prints it: it knows of a closed standard output.
            (problems / f"{os.environ['RANK']}.summary").write_text(summary, encoding="utf-8")
    except PipelineError as error:
        (problems / f"{os.environ['RANK']}.error").write_text(str(error), encoding="utf-8")
        raise SystemExit(error.exit_code) from None
    except Exception as error:
        if fault := fault_line(error):
            (problems / f"{os.environ['RANK']}.error").write_text(fault, encoding="utf-8")
            raise SystemExit(PipelineError.exit_code) from None
        # An error of the program, whose traceback PyTorch would hide.
        text = traceback.format_exc()
        (problems / f"{os.environ['RANK']}.traceback").write_text(text, encoding="utf-8")
        raise
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None


def _train(params: TrainParams, progress: ConsoleProgress) -> str:
    """Train, and return the lines to print of it; none in all processes but one."""
    from pipeline.training.run_setup import public_params
    from pipeline.training.trainer import train

    kept_for_evaluation = load_params(PARAMS_FILE).evaluate.models.values()
    loggers = make_loggers(public_params(params))
    curves, runs = LiveRecorder(TRAIN_REPORTS), project_folder() / RUNS
    with TrainLog(curves, runs, loggers, progress) as recorder:
        result = train(
            params,
            MANIFEST,
            RESIZED,
            MODELS,
            recorder,
            progress,
            project_folder(),
            list(kept_for_evaluation),
        )
    if result is None:
        return ""
    recorder.end()
    figures = ", ".join(f"{name} {value:.4f}" for name, value in result.figures.items())
    speed = ", ".join(f"{value:.4g} {name}" for name, value in result.throughput.items())
    skipped = f" ({result.skipped} skipped)" if result.skipped else ""
    ending = "; ".join([figures, *result.warnings])
    summary = f"{result.generator}: {counted(result.steps, 'step')}{skipped}; {ending}\n"
    return summary + (f"speed: {speed}\n" if speed else "")


STAGE = Stage("train", run, MODELS)

if __name__ == "__main__":
    run_stage(STAGE)
