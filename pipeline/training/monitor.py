"""Recording of each step's losses, validation, and the best generator."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from pipeline.devices import memory_in_use
from pipeline.networks import Generator
from pipeline.params import TrainParams
from pipeline.progress import Progress
from pipeline.training.best import BestTracker
from pipeline.training.checkpointed_state import CheckpointedState
from pipeline.training.distributed import Group
from pipeline.training.failure_signs import below_baseline, winning_discriminator
from pipeline.training.history import Figures, Recorder
from pipeline.training.schedules import Schedule, resolved_pretrain_steps
from pipeline.training.step import StepResult
from pipeline.training.throughput import Throughput
from pipeline.training.validation import Validation


@dataclass(frozen=True)
class FinalValidation:
    """The last validation's figures, and the best generator of all."""

    figures: Figures
    best: Generator
    best_step: int
    warnings: Sequence[str]
    """signs that the training failed"""


class Monitor:
    """Record, validate and report a training between its steps."""

    def __init__(
        self,
        *,
        params: TrainParams,
        steps: int,
        training: CheckpointedState,
        validation: Validation,
        group: Group,
        recorder: Recorder,
        progress: Progress,
        run_key: str,
    ) -> None:
        self._params, self._steps, self._group, self._run_key = params, steps, group, run_key
        self._state, self._history = training.state, training.history
        self._validation, self._recorder, self._progress = validation, recorder, progress
        adversarial = training.state.adversary is not None
        self._best = BestTracker(training.best, validation, adversarial)
        pretrain_steps = resolved_pretrain_steps(params, steps) if adversarial else 0
        self._pretrain_steps = pretrain_steps if 0 < pretrain_steps < steps else None
        self._outdated_step: int | None = None
        self._throughput: Throughput | None = None

    def resume(self) -> None:
        """Measure the best generator again where needed, and replay the history."""
        if self._best.remeasure():
            # So are the figures of the step at which the training was saved.
            self._outdated_step = self._state.step
            self._progress.message(
                f"the best generator so far, of step {self._best.best.step}, is measured again: "
                "its score was of another metric or of other validation pictures"
            )
        self._history.replay(self._recorder, self._run_key)

    def start(self, throughput: Throughput) -> None:
        """Start the progress line, which shows `throughput`, before the first step."""
        self._throughput = throughput
        self._start_line()

    def after_step(self, result: StepResult) -> None:
        """Record and validate as the params say. Raises `NotFiniteError`.

        Only multiples of `log_every` and `validate_every` count, wherever a training ends: so the
        rows of a resumed training are those of an uninterrupted one.
        """
        step = self._state.step
        if step % self._params.log_every == 0 and (figures := self._read(result)):
            self._add_row({f"train/{name}": value for name, value in figures.items()})
            speed = {} if self._throughput is None else self._throughput.figures(step)
            self._progress.update(step, **figures, **speed)
        else:
            self._progress.update(step)
        if self._group.is_main and step % self._params.validate_every == 0:
            self._validate()
        if step == self._pretrain_steps:
            self._progress.finish()
            self._start_line()

    def final_validation(self) -> FinalValidation:
        """Validate the last generator, unless that was done on these pictures; it may be the best.

        Nothing of it goes into the training: a longer one would not have validated here. Raises
        `NotFiniteError`.
        """
        state, best = self._state, self._best.best
        figures = self._history.validation_at(state.step)
        if figures and state.step != self._outdated_step:
            warnings = self._warnings(figures["val/psnr_y"])
            return FinalValidation(figures, best.generator, best.step, warnings)
        measured, strip = self._validation(state.ema)
        figures = {f"val/{name}": value for name, value in measured.items()}
        self._recorder.figures(state.step, figures, self._status())
        self._history.show_samples(self._recorder, strip)
        self._report_validation(measured)
        warnings = self._warnings(measured["psnr_y"])
        if self._best.is_better(measured):
            return FinalValidation(figures, state.ema, state.step, warnings)
        return FinalValidation(figures, best.generator, best.step, warnings)

    def _start_line(self) -> None:
        """Start the progress line of a phase, so that the time left is by this phase's speed.

        Steps without the discriminator are faster: by their speed the rest would seem shorter.
        """
        step, pretrain_steps = self._state.step, self._pretrain_steps
        if pretrain_steps is None:
            self._progress.start("train", self._steps, "steps")
        elif step < pretrain_steps:
            self._progress.start("train: pre-training", pretrain_steps, "steps")
        else:
            self._progress.start("train: adversarial", self._steps, "steps")
        self._progress.update(step)

    def _read(self, result: StepResult) -> Figures:
        """Return the step's figures as numbers, or none where the step was skipped."""
        figures = list(result.figures.values())
        # Each process computed those of its part of the batch.
        self._group.all_reduce_mean_(figures)
        # One read in place of ten: the host waits for a GPU at each.
        *values, updated = torch.stack([*figures, result.updated.to(figures[0])]).tolist()
        return dict(zip(result.figures, values, strict=True)) if updated else {}

    def _validate(self) -> None:
        state = self._state
        measured, strip = self._validation(state.ema)
        self._best.offer(state.ema, state.step, measured)
        self._add_row({f"val/{name}": value for name, value in measured.items()})
        self._history.add_samples(strip)
        self._history.show_samples(self._recorder)
        self._report_validation(measured)

    def _add_row(self, figures: Figures) -> None:
        self._history.add_row(self._state.step, figures)
        self._recorder.figures(self._state.step, figures, self._status())

    def _status(self) -> Figures:
        """Return the step's learning rate, memory in bytes, images per second and seconds left."""
        step, device = self._state.step, self._state.generator.device
        status: dict[str, float] = {
            "lr": Schedule(self._params, self._steps).learning_rate(max(step - 1, 0)),
            "memory_bytes": memory_in_use(device),
        }
        return {**status, **(self._throughput.status(step) if self._throughput else {})}

    def _report_validation(self, measured: Figures) -> None:
        figures = ", ".join(f"{name} {value:.4g}" for name, value in measured.items())
        text = "; ".join([f"validation {figures}", *self._warnings(measured["psnr_y"])])
        self._progress.message(f"step {self._state.step}: {text}")

    def _warnings(self, psnr_y: float) -> list[str]:
        """Return signs that the training fails."""
        below = below_baseline(psnr_y, self._validation.baseline_psnr_y, self._params.scale)
        # A relativistic discriminator's outputs are no probabilities that an image is real.
        rows = [] if self._params.relativistic else self._history.last_interval()
        return [text for text in (below, winning_discriminator(rows)) if text]
