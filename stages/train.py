"""`pipeline train`: the generator."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.params import TrainParams
from stages.common import Stage, run_stage
from stages.console import ConsoleProgress

if TYPE_CHECKING:
    import numpy as np
    from dvclive import Live

MANIFEST = Path("data/manifest.csv")
RESIZED = Path("data/resized")
MODELS = Path("models")
REPORTS = Path("reports/train")


def run(params: TrainParams) -> None:
    """Train the generator on data/manifest.csv into models/generator.safetensors.

    Stopped at any time, the same command goes on where it stopped. Curves and samples go to
    reports/train/.
    """
    from pipeline.training.trainer import train

    recorder = LiveRecorder(REPORTS)
    result = train(params, MANIFEST, RESIZED, MODELS, recorder, ConsoleProgress())
    recorder.end()
    figures = ", ".join(f"{name} {value:.4f}" for name, value in result.figures.items())
    print(f"{result.generator}: {result.steps} steps; {figures}")


class LiveRecorder:
    """Keeps the course of a training with DVCLive, for `dvc plots` and `dvc exp show`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cached_property
    def _live(self) -> "Live":
        # Made at the first figures: a run that cannot start leaves the last one's curves alone.
        from dvclive import Live

        return Live(
            str(self._folder), dvcyaml=None, report=None, save_dvc_exp=False, monitor_system=False
        )

    def figures(self, step: int, figures: Mapping[str, float]) -> None:
        """Append to the plots and refresh the summary."""
        self._live.step = step
        for name, value in figures.items():
            self._live.log_metric(name, value, timestamp=False)
        self._live.make_summary()

    def samples(self, pixels: "np.ndarray") -> None:
        """Replace samples.png."""
        from PIL import Image

        from pipeline.files import atomic_path

        with atomic_path(self._folder / "samples.png") as temporary:
            Image.fromarray(pixels).save(temporary, "PNG")

    def end(self) -> None:
        """Finish the summary."""
        self._live.end()


STAGE = Stage("train", run)

if __name__ == "__main__":
    run_stage(STAGE)
