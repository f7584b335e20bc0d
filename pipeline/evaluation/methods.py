"""The methods that are compared: interpolation, generators, and results of other programs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

from pipeline.errors import PipelineError, naming_memory_faults
from pipeline.evaluation.costs import Timings
from pipeline.evaluation.other_programs import read_result
from pipeline.images.interpolation import FILTERS, interpolate
from pipeline.networks import Generator
from pipeline.networks.tiles import enlarge

MODEL = "model"
MEMORY_ADVICE = "measure on a device that has more (evaluate.device), or leave out large images"
"""Name of the trained generator."""
ORIGINAL = "original"
LR = "lr"
RESERVED_NAMES = (*FILTERS, MODEL, ORIGINAL, LR)
"""Names that no other method may have."""


@dataclass(frozen=True)
class UpscalingMethods:
    """All compared methods by name; each enlarges `scale` times."""

    models: Mapping[str, Generator]
    scale: int
    folders: Mapping[str, Path] = field(default_factory=dict)
    """method → folder of another program's results: IMAGE.png for each image, 8-bit RGB"""
    metadata: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """method → metadata of its generator's file"""

    @property
    def names(self) -> tuple[str, ...]:
        """All methods, in the order of the reports."""
        return (*FILTERS, *self.models, *self.folders)

    def upscale(
        self, lr: torch.Tensor, image_name: str, timings: Timings | None = None
    ) -> dict[str, torch.Tensor]:
        """Return method → result: (3, h, w) uint8 → (3, h·scale, w·scale) uint8.

        Results of other programs are read from `image_name`.png in their folders; the seconds of
        all others are added to `timings`. Raises `PipelineError` if a generator's result is not
        finite, or a file is missing, damaged or of another size.
        """
        timings = Timings() if timings is None else timings
        height, width = (side * self.scale for side in lr.shape[-2:])
        results = {}
        for name in FILTERS:
            with timings.measure(name, height * width):
                results[name] = interpolate(lr, self.scale, name)
        for name, model in self.models.items():
            with timings.measure(name, height * width):
                results[name] = _generate(name, model, lr)
        for name, folder in self.folders.items():
            results[name] = read_result(folder / f"{image_name}.png", name, (width, height))
        return results


def _generate(name: str, model: Generator, lr: torch.Tensor) -> torch.Tensor:
    height, width = lr.shape[-2:]
    with naming_memory_faults(f"{name}, LR of {width}×{height}", MEMORY_ADVICE):
        try:
            return enlarge(model, lr)
        except PipelineError as error:
            raise PipelineError(f"{name}: {error}; its weights are damaged") from None
