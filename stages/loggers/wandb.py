"""Weights & Biases' log of a training, by its own library."""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from pipeline.errors import PipelineError, UsageError
from stages.loggers.base import LogLine

if TYPE_CHECKING:
    import numpy as np
    from wandb.sdk.wandb_run import Run


def check_variables() -> None:
    """Raise `UsageError` for a variable of Weights & Biases that its library refuses."""
    import wandb

    for variable, value in os.environ.items():
        if not variable.startswith("WANDB_"):
            continue
        try:
            # Each alone: errors name the library's settings, not always as the variables are.
            wandb.Settings().update_from_env_vars({variable: value})
        except ValidationError as error:
            problem = error.errors()[0]["msg"]
        except wandb.Error as error:
            problem = " ".join(str(error).split())
        else:
            continue
        raise UsageError(f"{variable}: {problem}; change or unset it")


class WeightsAndBiases:
    """Logs one run of Weights & Biases per run of the training, named by its key.

    Project, mode and credentials are what its own variables and files say.
    """

    def __init__(self, config: Mapping[str, object]) -> None:
        """`config`: the params that it shows; they leave this machine."""
        self._config = config
        self._run: Run | None = None

    def start(self, folder: Path, lines: Sequence[LogLine]) -> None:
        """Resume the run on the server, or begin it, and log those of `lines` that it lacks.

        Without a network all lines are logged anew, and what earlier processes of the run left is
        removed: what is sent to the server later would overwrite each other.
        """
        import wandb

        outdated = list(folder.glob("wandb/offline-run-*"))
        try:
            self._run = wandb.init(
                id=folder.name,
                dir=folder,
                config=dict(self._config),
                resume="allow",
                settings=wandb.Settings(console="off"),
            )
        except wandb.Error as error:
            text = " ".join(str(error).split())
            raise PipelineError(
                f"wandb: {text}; run wandb login, or set WANDB_MODE=offline"
            ) from None
        for line in lines:
            if line.step >= self._run.step:
                self.log(line)
        if self._run.settings.mode == "offline":
            for path in outdated:
                shutil.rmtree(path)

    def log(self, line: LogLine) -> None:
        """Log a line."""
        self._log(line.step, line.values)

    def samples(self, step: int, pixels: "np.ndarray") -> None:
        """Show validation details, `(H, W, 3) uint8`."""
        import wandb

        self._log(step, {"samples": wandb.Image(pixels)})

    def close(self, failed: bool) -> None:
        """Send what is left."""
        if self._run is not None:
            self._run.finish(exit_code=int(failed))

    def _log(self, step: int, values: Mapping[str, Any]) -> None:
        assert self._run is not None
        self._run.log(dict(values), step=step)
