"""What a training tells on its way: losses, validations, and a growing strip of pictures."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from pipeline.networks import Generator
from pipeline.params import TrainParams
from pipeline.progress import Progress
from pipeline.training.distributed import Group
from pipeline.training.state import State
from pipeline.training.step import StepResult
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


@dataclass(frozen=True)
class Closing:
    """What a training ends with: the last validation's figures, and the best generator."""

    figures: Figures
    best: Generator
    best_step: int


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
        self._remeasured = False

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

    def record(self, result: StepResult) -> None:
        """A step was taken. Raises `PipelineError` where the generator's pictures overflowed.

        Only multiples of `log_every` and `validate_every` count, wherever a training ends: so the
        rows of one that goes on are those of one that was never stopped.
        """
        step = self._state.step
        if step % self._params.log_every == 0 and (figures := self._figures(result)):
            self._keep({f"train/{name}": value for name, value in figures.items()})
            self._progress.update(step, **figures, **{"images/s": self._images_per_second()})
        else:
            self._progress.update(step)
        if self._group.leads and step % self._params.validate_every == 0:
            self._validate()

    def _figures(self, result: StepResult) -> Figures:
        """Return the terms of the loss, or none where the step moved nothing."""
        terms = list(result.terms.values())
        # Each has seen its part of the batch.
        self._group.average(terms)
        # One read in place of ten: a GPU is waited for at each.
        *values, updated = torch.stack([*terms, result.updated.to(terms[0])]).tolist()
        return dict(zip(result.terms, values, strict=True)) if updated else {}

    def check_best(self) -> None:
        """Measure the kept best generator again where its score is of another metric or pictures.

        AlexNet's weights may have come or gone since, `validation_images` may have changed.
        """
        state = self._state
        if state.best_step and state.best_measure != self._measure:
            self._remeasured = True
            measured, _ = self._validation(state.best)
            state.best_score, state.best_measure = self._score(measured), self._measure
            self._progress.message(
                f"the best generator so far, of step {state.best_step}, is measured again: its "
                "score was of another metric or of other validation pictures"
            )

    def close(self) -> Closing:
        """Validate the last generator, if its step was no multiple, and let it compete.

        Nothing of it goes into the state: a longer training would not have validated here.
        """
        state = self._state
        figures = self._validated(state.step)
        if figures and not self._remeasured:
            return Closing(figures, state.best, state.best_step)
        measured, strip = self._validation(state.average)
        if not figures:
            figures = {f"val/{name}": value for name, value in measured.items()}
            self._recorder.figures(state.step, figures)
            self._show_samples(strip)
            self._show_figures(measured)
        if self._score(measured) > state.best_score:
            return Closing(figures, state.average, state.step)
        return Closing(figures, state.best, state.best_step)

    def _validated(self, step: int) -> Figures:
        """Return the validation figures that are kept of a step, or none."""
        for row in reversed(self._state.curve):
            if row["step"] == step and "val/psnr_y" in row:
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
        self._show_figures(measured)

    def _keep_best(self, measured: Figures) -> None:
        state, score = self._state, self._score(measured)
        if score > state.best_score:
            state.best_score, state.best_step = score, state.step
            state.best_measure = self._measure
            state.best.load_state_dict(state.average.state_dict())

    @property
    def _metric(self) -> str:
        perceptual = self._state.adversary is not None and self._validation.perceptual is not None
        return "lpips" if perceptual else "psnr_y"

    @property
    def _measure(self) -> str:
        return f"{self._metric} {self._validation.sha256}"

    def _score(self, measured: Figures) -> float:
        """Return a number that grows as the generator gets better."""
        return -measured["lpips"] if self._metric == "lpips" else measured["psnr_y"]

    def _keep(self, figures: dict[str, float]) -> None:
        self._state.curve.append({"step": self._state.step} | figures)
        self._recorder.figures(self._state.step, figures)

    def _show_figures(self, measured: Figures) -> None:
        told = ", ".join(f"{name} {value:.4g}" for name, value in measured.items())
        self._progress.message(f"step {self._state.step}: validation {told}")

    def _show_samples(self, *more: Tensor) -> None:
        strips = [*self._state.samples, *more]
        if strips:
            # `validation_images` may have been fewer pictures before.
            strips = [strip for strip in strips if strip.shape == strips[-1].shape]
            picture = torch.cat(strips, dim=1)
            self._recorder.samples(picture.permute(1, 2, 0).numpy())

    def _images_per_second(self) -> float:
        steps = self._state.step - self._first
        return steps * self._params.batch / (time.monotonic() - self._started)
