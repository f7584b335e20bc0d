"""The training images: decoded once into memory where they fit, or anew for each crop."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from pipeline.images.shards import read_image, read_images
from pipeline.manifest import Row
from pipeline.progress import Progress
from pipeline.training.patches import Load

# The rest of the memory is for the networks, their gradients and the system.
MEMORY_SHARE = 0.5
_CHUNK = 256


@dataclass(frozen=True)
class Images:
    """How an image is had by its number; `at_hand` where the training device holds them all."""

    load: Load
    at_hand: bool


def load_images(
    folder: Path,
    rows: Sequence[Row],
    size: int,
    device: torch.device,
    processes: int,
    progress: Progress,
) -> Images:
    """The images of `rows`, `size` pixels square, as near to `device` as they find place.

    They take at most half of what is free there: on the device, else in the machine's memory, of
    which each of `processes` takes its part. Raises `PipelineError` where one cannot be read.
    """
    needed = len(rows) * size * size * 3
    places = [(device, _free(device))]
    if device.type != "cpu":
        places.append((torch.device("cpu"), _free(torch.device("cpu"))))
    for place, free in places:
        if needed <= free * MEMORY_SHARE / (processes if place.type == "cpu" else 1):
            images = _decoded(folder, rows, size, place, progress)
            return Images(images.__getitem__, at_hand=place == device)
    progress.message("the images do not fit into memory: they are decoded at each step")
    return Images(lambda index: torch.from_numpy(read_image(folder, rows[index])), at_hand=False)


def loaders() -> int:
    """Threads that prepare batches where the images are not at hand."""
    return os.cpu_count() or 1


def _free(device: torch.device) -> int:
    """Bytes that are free on a device; MPS has the machine's."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def _decoded(
    folder: Path, rows: Sequence[Row], size: int, place: torch.device, progress: Progress
) -> torch.Tensor:
    images = torch.empty((len(rows), size, size, 3), dtype=torch.uint8, device=place)
    progress.start("read images", len(rows), "images")
    try:
        for start in range(0, len(rows), _CHUNK):
            part = read_images(folder, rows[start : start + _CHUNK])
            images[start : start + _CHUNK] = torch.from_numpy(part)
            progress.update(start + len(part))
    finally:
        progress.finish()
    return images
