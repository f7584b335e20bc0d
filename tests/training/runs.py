"""Small trainings, and a program that a test can kill in the middle of one."""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pipeline.params import TrainParams
from pipeline.params.file import override
from pipeline.params.generator import SRResNetParams
from pipeline.training.trainer import TrainResult, train

SMALL = TrainParams(
    generator=SRResNetParams(blocks=1, features=8, norm="batch", skip="none"),
    crop=32,
    batch=2,
    steps=6,
    pretrain_steps=2,
    warmup_steps=2,
    pixel_weight=0.1,
    ema=0.999,
    vgg="random",
    content_layers=("conv1_1", "conv2_1"),
    device="cpu",
    log_every=1,
    validate_every=3,
    validation_images=2,
    checkpoint_seconds=0.0,
)
# A generator without these params takes no values but their defaults.
OTHER_KIND = {"generator.norm": "none", "generator.skip": "bicubic"}


class Recorded:
    """A recorder that keeps all in memory, and may send its own process a signal at a step."""

    def __init__(self, signal_at: int | None = None, number: int = signal.SIGKILL) -> None:
        self.rows: list[tuple[int, dict[str, float]]] = []
        self.pictures: np.ndarray | None = None
        self._signal_at, self._number = signal_at, number

    def start(self, rows: Sequence[Mapping[str, float]], run_key: str = "") -> None:
        self.rows = [
            (int(row["step"]), {name: value for name, value in row.items() if name != "step"})
            for row in rows
        ]

    def figures(self, step: int, figures: Mapping[str, float], status: Mapping[str, float]) -> None:
        self.rows.append((step, dict(figures)))
        if step == self._signal_at:
            self._signal_at = None
            os.kill(os.getpid(), self._number)

    def samples(self, pixels: np.ndarray) -> None:
        self.pictures = pixels


class RecordedProgress:
    """A progress that remembers its messages and figures."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.labels: list[str] = []
        self.totals: list[int | None] = []
        self.shown: dict[str, object] = {}

    def start(self, label: str, total: int | None, unit: str) -> None:
        self.labels.append(label)
        self.totals.append(total)

    def update(self, done: int, **figures: object) -> None:
        self.shown |= figures

    def message(self, text: str) -> None:
        self.messages.append(text)

    def finish(self) -> None:
        pass


def run(
    world: Path,
    models: Path,
    recorder: Recorded | None = None,
    progress: RecordedProgress | None = None,
    **changes: object,
) -> TrainResult:
    """Train in the data of `world` with `SMALL` params and `changes`."""
    params = override(SMALL, {name: str(value) for name, value in changes.items()})
    return train(
        params,
        world / "data/manifest.csv",
        world / "data/resized",
        models,
        recorder or Recorded(),
        progress or RecordedProgress(),
    )


if __name__ == "__main__":
    where, into, step, *texts = sys.argv[1:]
    settings = dict(text.split("=", 1) for text in texts)
    run(Path(where), Path(into), Recorded(int(step)), **settings)
