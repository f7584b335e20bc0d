"""`pipeline train`: the generator."""

import os
import tempfile
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import PipelineError, UsageError
from pipeline.params import TrainParams
from pipeline.processes import stop_with_parent
from stages.common import INTERRUPTED, Stage, run_stage
from stages.console import ConsoleProgress

if TYPE_CHECKING:
    import numpy as np
    from dvclive.live import Live

MANIFEST = Path("data/manifest.csv")
RESIZED = Path("data/resized")
MODELS = Path("models")
REPORTS = Path("reports/train")


def run(params: TrainParams) -> None:
    """Train the generator: models/generator.safetensors.

    Stopped at any time, the same command goes on where it stopped. Curves and samples go to
    reports/train/.
    """
    from pipeline.training.distribution import is_joined

    if params.processes > 1 and not is_joined():
        _launch(params)
    else:
        _train(params)


def _launch(params: TrainParams) -> None:
    """Train in several processes, and tell once what they all have to say."""
    from pipeline.training.distribution import launch

    with tempfile.TemporaryDirectory() as folder:
        code = launch(params.processes, _work, params, Path(folder))
        problems = {path.read_text(encoding="utf-8") for path in Path(folder).iterdir()}
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    if code:
        told = "\n".join(sorted(problems)) or "training: a process was killed; run again to go on"
        raise (UsageError if code == UsageError.exit_code else PipelineError)(told)


def _work(params: TrainParams, problems: Path) -> None:
    """One of several processes on this machine: what stops it goes into a file of `problems`."""
    import torch

    stop_with_parent()
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // params.processes))
    try:
        _train(params)
    except PipelineError as error:
        (problems / os.environ["RANK"]).write_text(str(error), encoding="utf-8")
        raise SystemExit(error.exit_code) from None
    except Exception:
        # Nobody foresaw it, and PyTorch would hide it.
        (problems / os.environ["RANK"]).write_text(traceback.format_exc(), encoding="utf-8")
        raise
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None


def _train(params: TrainParams) -> None:
    from pipeline.training.trainer import train

    recorder = LiveRecorder(REPORTS)
    result = train(params, MANIFEST, RESIZED, MODELS, recorder, ConsoleProgress())
    if result is None:
        return
    recorder.end()
    figures = ", ".join(f"{name} {value:.4f}" for name, value in result.figures.items())
    skipped = f" ({result.skipped} skipped)" if result.skipped else ""
    print(f"{result.generator}: {result.steps} steps{skipped}; {figures}")


class LiveRecorder:
    """Keeps the course of a training with DVCLive, for `dvc plots` and `dvc exp show`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._live: Live | None = None

    def start(self) -> None:
        """Empty the folder of the last training's curves."""
        from dvclive.live import Live
        from scmrepo.exceptions import SCMError

        try:
            self._live = Live(
                str(self._folder),
                dvcyaml=None,
                report=None,
                save_dvc_exp=False,
                monitor_system=False,
            )
        except SCMError as error:
            raise PipelineError(
                f"git: {error}; DVCLive needs a commit in the project's repository: git commit"
            ) from None

    def figures(self, step: int, figures: Mapping[str, float]) -> None:
        """Append to the plots and refresh the summary."""
        assert self._live is not None
        self._live.step = step
        for name, value in figures.items():
            self._live.log_metric(name, value, timestamp=False)
        self._live.make_summary()  # type: ignore[no-untyped-call]

    def samples(self, pixels: "np.ndarray") -> None:
        """Replace samples.png."""
        from PIL import Image

        from pipeline.files import atomic_path

        with atomic_path(self._folder / "samples.png") as temporary:
            Image.fromarray(pixels).save(temporary, "PNG")

    def end(self) -> None:
        """Finish the summary."""
        assert self._live is not None
        self._live.end()  # type: ignore[no-untyped-call]


STAGE = Stage("train", run, MODELS)

if __name__ == "__main__":
    run_stage(STAGE)
