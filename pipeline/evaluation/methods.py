"""The methods that are compared: interpolation, generators, and results of other programs."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from pipeline.errors import PipelineError, naming_memory_faults
from pipeline.evaluation.costs import Timings
from pipeline.evaluation.result_files import ResultFiles
from pipeline.images.interpolation import FILTERS, baselines_of, interpolate
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
    results: Mapping[str, ResultFiles] = field(default_factory=dict)
    """method → another program's results"""
    metadata: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """method → metadata of its generator's file"""

    @property
    def names(self) -> tuple[str, ...]:
        """All methods, in the order of the reports."""
        return (*baselines_of(self.scale), *self.models, *self.results)

    def upscale(
        self, lr: torch.Tensor, image_name: str, timings: Timings | None = None
    ) -> dict[str, torch.Tensor]:
        """Return method → result: (3, h, w) uint8 → (3, h·scale, w·scale) uint8.

        Results of other programs for `image_name` are read; the seconds of all others are added to
        `timings`. Raises `PipelineError` if a generator's result is not
        finite, or a file is missing, damaged or of another size.
        """
        timings = Timings() if timings is None else timings
        height, width = (side * self.scale for side in lr.shape[-2:])
        results = {}
        for name in baselines_of(self.scale):
            with timings.measure(name, height * width):
                results[name] = interpolate(lr, self.scale, name)
        for name, model in self.models.items():
            with timings.measure(name, height * width):
                results[name] = _generate(name, model, lr)
        for name, files in self.results.items():
            results[name] = files.read(image_name, (width, height)).pixels
        return results


def _generate(name: str, model: Generator, lr: torch.Tensor) -> torch.Tensor:
    height, width = lr.shape[-2:]
    with naming_memory_faults(f"{name}, LR of {width}×{height}", MEMORY_ADVICE):
        try:
            return enlarge(model, lr)
        except PipelineError as error:
            raise PipelineError(f"{name}: {error}; its weights are damaged") from None
