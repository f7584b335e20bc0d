"""The training images: decoded once into memory where they fit, or anew for each crop."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import torch

from pipeline.devices import free_cuda_memory
from pipeline.images.shards import read_image, read_images
from pipeline.manifest.rows import Row
from pipeline.progress import Progress
from pipeline.training.crops import Load

# The rest is for the networks, what their gradients need, and the system: of the 3.4 GB free on a
# 4 GB card a step at batch 2 takes up to 1.6, and cuDNN's workspaces some.
MEMORY_SHARE = 0.4
_CHUNK = 256


@dataclass(frozen=True)
class Images:
    """How images are had by their numbers; `at_hand` where the training device holds them all."""

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

    They take at most `MEMORY_SHARE` of what is free there: on the device, else in the machine's
    memory, of which each of `processes` takes its part. Raises `PipelineError` where one cannot be
    read.
    """
    needed = len(rows) * size * size * 3
    # LR is made on the CPU for MPS, whose memory is the machine's in any case.
    host = torch.device("cpu")
    places = [device, host] if device.type == "cuda" else [host]
    for place in places:
        if needed <= _free(place, processes) * MEMORY_SHARE:
            images = _decoded(folder, rows, size, place, progress)
            return Images(partial(_kept, images), at_hand=place is places[0])
    progress.message("the images do not fit into memory: they are decoded at each step")
    return Images(partial(_read, folder, rows), at_hand=False)


def _free(place: torch.device, processes: int) -> float:
    """Bytes that are free for one of `processes`, which have a card each and share the memory."""
    if place.type == "cuda":
        return free_cuda_memory(place)
    return psutil.virtual_memory().available / processes


def _kept(images: torch.Tensor, numbers: Sequence[int]) -> tuple[torch.Tensor, Sequence[int]]:
    return images, numbers


def _read(
    folder: Path, rows: Sequence[Row], numbers: Sequence[int]
) -> tuple[torch.Tensor, Sequence[int]]:
    images = np.stack([read_image(folder, rows[number]) for number in numbers])
    return torch.from_numpy(images), range(len(numbers))


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
