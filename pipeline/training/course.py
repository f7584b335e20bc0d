"""What a training tells on its way: losses, validations, and a growing strip of pictures."""

import time
from collections.abc import Mapping
from typing import Protocol

import numpy as np
import torch

from pipeline.params import TrainParams
from pipeline.progress import Progress
from pipeline.training.distribution import Group
from pipeline.training.state import State
from pipeline.training.updates import Terms
from pipeline.training.validation import Validation

# With more strips than this every second one is dropped: the picture shows the course.
MAX_STRIPS = 16

Figures = Mapping[str, float]


class Recorder(Protocol):
    """Where the course of a training is kept."""

    def start(self) -> None:
        """A training begins or goes on: it will tell everything anew, from its first step."""

    def figures(self, step: int, figures: Figures) -> None:
        """Losses or validation figures after `step` generator updates."""

    def samples(self, pixels: np.ndarray) -> None:
        """`(H, W, 3) uint8`: the same validation details, a row for each validation so far."""


class Unrecorded:
    """The recorder of a process that does not lead."""

    def start(self) -> None: ...
    def figures(self, step: int, figures: Figures) -> None: ...
    def samples(self, pixels: np.ndarray) -> None: ...


class Course:
    """Keeps in `state` what became of each step, and tells it to a recorder and a progress."""

    def __init__(
        self,
        params: TrainParams,
        steps: int,
        state: State,
        validation: Validation,
        group: Group,
        recorder: Recorder,
        progress: Progress,
    ) -> None:
        self._params, self._steps, self._state = params, steps, state
        self._validation, self._group = validation, group
        self._recorder, self._progress = recorder, progress

    def replay(self) -> None:
        """Tell a recorder that starts anew all that `state` remembers."""
        self._recorder.start()
        for row in self._state.curve:
            figures = {name: value for name, value in row.items() if name != "step"}
            self._recorder.figures(int(row["step"]), figures)
        self._show_samples()

    def begin(self) -> None:
        """The next step is about to be taken."""
        self._first, self._started = self._state.step, time.monotonic()
        self._progress.start("train", self._steps, "steps")
        self._progress.update(self._first)

    def record(self, terms: Terms) -> None:
        """A step was taken. Raises `PipelineError` where the generator's pictures overflowed."""
        step, ended = self._state.step, self._state.step == self._steps
        if terms and (step % self._params.log_every == 0 or ended):
            # Each has seen its part of the batch.
            self._group.average(list(terms.values()))
            figures = {name: value.item() for name, value in terms.items()}
            self._keep({f"train/{name}": value for name, value in figures.items()})
            self._progress.update(step, **figures, **{"images/s": self._images_per_second()})
        else:
            self._progress.update(step)
        if self._group.leads and (step % self._params.validate_every == 0 or ended):
            self._validate()

    def last_validation(self) -> Figures:
        """The figures of the newest validation."""
        for row in reversed(self._state.curve):
            if "val/psnr_y" in row:
                return {name: value for name, value in row.items() if name != "step"}
        return {}

    def _validate(self) -> None:
        measured, strip = self._validation(self._state.average)
        self._keep_best(measured)
        self._keep({f"val/{name}": value for name, value in measured.items()})
        self._state.samples.append(strip)
        if len(self._state.samples) > MAX_STRIPS:
            self._state.samples = self._state.samples[1::2]
        self._show_samples()
        told = ", ".join(f"{name} {value:.4g}" for name, value in measured.items())
        self._progress.message(f"step {self._state.step}: validation {told}")

    def _keep_best(self, measured: Figures) -> None:
        state = self._state
        perceptual = state.adversary is not None and "lpips" in measured
        score = -measured["lpips"] if perceptual else measured["psnr_y"]
        if score > state.best_score:
            state.best_score, state.best_step = score, state.step
            state.best.load_state_dict(state.average.state_dict())

    def _keep(self, figures: dict[str, float]) -> None:
        self._state.curve.append({"step": self._state.step} | figures)
        self._recorder.figures(self._state.step, figures)

    def _show_samples(self) -> None:
        if self._state.samples:
            strips = torch.cat(self._state.samples, dim=1)
            self._recorder.samples(strips.permute(1, 2, 0).cpu().numpy())

    def _images_per_second(self) -> float:
        steps = self._state.step - self._first
        return steps * self._params.batch / (time.monotonic() - self._started)
