"""What a training records: rows of figures and validation pictures, on the CPU."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import dropwhile, takewhile
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from pipeline.training.curve_tables import to_rows, to_tensors

# With one strip more every second one is dropped, but neither the first nor the newest: the picture
# still shows all of the run.
MAX_STRIPS = 16

Figures = Mapping[str, float]


class Recorder(Protocol):
    """Where the curves and pictures of a training are written."""

    def start(self, rows: Sequence[Figures], run_key: str) -> None:
        """Begin anew with rows of `step` and figures, none unless a training goes on.

        `run_key` is the name of the run's folder among the kept runs.
        """

    def figures(self, step: int, figures: Figures, status: Figures) -> None:
        """Record losses or validation figures after `step` steps.

        `status` is what differs from run to run of the same training: speed, memory, time left.
        """

    def samples(self, pixels: np.ndarray) -> None:
        """Record `(H, W, 3) uint8`: the same validation details, one row for each validation."""


class NullRecorder:
    """The recorder of every process but the main one."""

    def start(self, rows: Sequence[Figures], run_key: str) -> None: ...
    def figures(self, step: int, figures: Figures, status: Figures) -> None: ...
    def samples(self, pixels: np.ndarray) -> None: ...


@dataclass
class History:
    """Curves, sample pictures and devices of a training so far."""

    curve: list[dict[str, float]] = field(default_factory=list)
    """rows of `step` and figures"""
    samples: list[Tensor] = field(default_factory=list)
    """one strip of validation pictures per validation, `(3, h, w) uint8`"""
    devices: list[str] = field(default_factory=list)
    """what computed the steps"""

    def add_row(self, step: int, figures: Figures) -> None:
        """Append figures of a step."""
        self.curve.append({"step": step, **figures})

    def add_samples(self, strip: Tensor) -> None:
        """Append the strip `(3, h, w) uint8` of one validation."""
        self.samples.append(strip)
        if len(self.samples) > MAX_STRIPS:
            self.samples = self.samples[::2]

    def add_device(self, name: str) -> None:
        """Note that this device computes the next steps."""
        if name not in self.devices:
            self.devices.append(name)

    def validation_at(self, step: int) -> Figures:
        """Return the validation figures recorded after `step`, or none."""
        for row in reversed(self.curve):
            if row["step"] == step and _is_validation(row):
                return _without_step(row)
        return {}

    def last_interval(self) -> list[Figures]:
        """Return the rows before the validation that ends the curve, or since the last one."""
        newest_first: Iterator[Figures] = dropwhile(_is_validation, reversed(self.curve))
        return list(takewhile(lambda row: not _is_validation(row), newest_first))[::-1]

    def replay(self, recorder: Recorder, run_key: str) -> None:
        """Give a recorder that starts anew all rows and pictures."""
        recorder.start(self.curve, run_key)
        self.show_samples(recorder)

    def show_samples(self, recorder: Recorder, *more: Tensor) -> None:
        """Record all strips and `more` below each other, where there is one."""
        strips = [*self.samples, *more]
        if strips:
            # `validation_images` may have been fewer pictures before.
            strips = [strip for strip in strips if strip.shape == strips[-1].shape]
            picture = torch.cat(strips, dim=1)
            recorder.samples(picture.permute(1, 2, 0).numpy())

    def state_dict(self) -> dict[str, Any]:
        """Return everything as plain values and tensors."""
        curve = to_tensors(self.curve)
        return {"devices": self.devices, "curve": curve, "samples": self.samples}

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned; `saved` must have been checked."""
        self.devices, self.samples = saved["devices"], saved["samples"]
        self.curve = to_rows(saved["curve"])


def _is_validation(row: Figures) -> bool:
    return "val/psnr_y" in row


def _without_step(row: Figures) -> Figures:
    return {name: value for name, value in row.items() if name != "step"}
