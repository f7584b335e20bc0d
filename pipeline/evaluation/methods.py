"""The methods that are compared: interpolation, generators, and results of other programs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError

from pipeline.errors import PipelineError
from pipeline.evaluation.costs import Timings
from pipeline.evaluation.interpolation import FILTERS, interpolate
from pipeline.networks import Generator

MODEL = "model"
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
        results = {}
        for name in FILTERS:
            with timings.measure(name):
                results[name] = interpolate(lr, self.scale, name)
        for name, model in self.models.items():
            with timings.measure(name):
                results[name] = _generate(name, model, lr)
        height, width = (side * self.scale for side in lr.shape[-2:])
        for name, folder in self.folders.items():
            results[name] = _read_result(folder / f"{image_name}.png", name, (width, height))
        return results

    def check_results(self, image_names: Iterable[str], size: tuple[int, int]) -> None:
        """Read the results of other programs for all images, of `size`, width and height.

        Raises `PipelineError` if a file is missing, damaged or of another size.
        """
        for image_name in image_names:
            for name, folder in self.folders.items():
                _read_result(folder / f"{image_name}.png", name, size)


def _generate(name: str, model: Generator, lr: torch.Tensor) -> torch.Tensor:
    try:
        return model.enlarge(lr[None])[0]
    except PipelineError as error:
        raise PipelineError(f"{name}: {error}; its weights are damaged") from None


def _read_result(path: Path, method: str, size: tuple[int, int]) -> torch.Tensor:
    try:
        with Image.open(path, formats=("PNG",)) as image:
            if image.size != size:
                width, height = image.size
                raise PipelineError(
                    f"{path}: {width}×{height}, not {size[0]}×{size[1]}; `pipeline pairs` writes "
                    f"the images that {method} has to enlarge"
                )
            pixels = np.array(image.convert("RGB"))
    except FileNotFoundError:
        raise PipelineError(
            f"{path}: not found; evaluate.results: {method} needs a result for every image"
        ) from None
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise PipelineError(f"{path}: no complete PNG file: {error}") from None
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
