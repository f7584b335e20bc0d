"""The ways an LR image is enlarged: interpolation, generators, and what other programs made."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError

from pipeline.errors import PipelineError
from pipeline.evaluation.interpolation import FILTERS, interpolate
from pipeline.networks import Generator

MODEL = "model"
"""The trained generator that the evaluation is about."""
ORIGINAL = "original"
LR = "lr"
RESERVED = (*FILTERS, MODEL, ORIGINAL, LR)
"""Names that no further method may have."""


@dataclass(frozen=True)
class Methods:
    """Every method by name; all of them enlarge `scale` times."""

    models: Mapping[str, Generator]
    scale: int
    folders: Mapping[str, Path] = field(default_factory=dict)
    """of results that exist already: IMAGE.png for each image, 8-bit RGB"""

    @property
    def names(self) -> tuple[str, ...]:
        """Every method, in the order of the reports."""
        return (*FILTERS, *self.models, *self.folders)

    def results(self, lr: torch.Tensor, image: str) -> dict[str, torch.Tensor]:
        """Every method's result for the image called so: (3, h, w) → (3, h·scale, w·scale), uint8.

        Raises `PipelineError` where a generator's result is not finite, or a file of a folder is
        missing, damaged or of another size.
        """
        results = {method: interpolate(lr, self.scale, method) for method in FILTERS}
        for name, model in self.models.items():
            results[name] = _generated(name, model, lr)
        height, width = (side * self.scale for side in lr.shape[-2:])
        for name, folder in self.folders.items():
            results[name] = _read(folder / f"{image}.png", name, (width, height))
        return results


def _generated(name: str, model: Generator, lr: torch.Tensor) -> torch.Tensor:
    try:
        return model.enlarge(lr[None])[0]
    except PipelineError as error:
        raise PipelineError(f"{name}: {error}; its weights are damaged") from None


def _read(path: Path, method: str, size: tuple[int, int]) -> torch.Tensor:
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
        raise PipelineError(f"{path}: no whole PNG file: {error}") from None
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
