"""Training images: decoded once into memory where they fit, else anew for each batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from pipeline.devices import free_memory
from pipeline.errors import PipelineError
from pipeline.images.shards import read_image, read_images
from pipeline.manifest.rows import Row
from pipeline.progress import Progress
from pipeline.training.crops import LoadImages

# The rest is for networks, gradients and the system: of the 3.4 GB free on a 4 GB GPU a step at
# batch 2 takes up to 1.6, and cuDNN's workspaces some.
MEMORY_SHARE = 0.4
_CHUNK = 256


@dataclass(frozen=True)
class Images:
    """Access to the training images by their indices."""

    load: LoadImages
    prefetch: bool
    """whether batches are to be made ahead: images are decoded for each, or far from the GPU"""


def load_images(
    folder: Path,
    rows: Sequence[Row],
    size: int,
    device: torch.device,
    processes: int,
    progress: Progress,
) -> Images:
    """Return the images of `rows`, `size` pixels square, as near to `device` as there is room.

    They take at most `MEMORY_SHARE` of the free memory: of the device, else of the machine, whose
    memory `processes` share. Where they fit into neither they are decoded for each batch. Raises
    `PipelineError` where one cannot be read or has another size.
    """
    needed = len(rows) * size * size * 3
    # LR is made on the CPU for MPS, whose memory is the machine's in any case.
    host = torch.device("cpu")
    devices = [device, host] if device.type == "cuda" else [host]
    for target in devices:
        if needed <= _free_bytes(target, processes) * MEMORY_SHARE:
            images = _decode_all(folder, rows, size, target, progress)
            return Images(partial(_from_memory, images), prefetch=target is not devices[0])
    progress.message("the images do not fit into memory: they are decoded at each step")
    return Images(partial(_from_shards, folder, rows, size), prefetch=True)


def _free_bytes(device: torch.device, processes: int) -> float:
    """Return the bytes free for one of `processes`; each has a GPU, all share the main memory."""
    sharing = 1 if device.type == "cuda" else processes
    return free_memory(device) / sharing


def _from_memory(
    images: torch.Tensor, indices: Sequence[int]
) -> tuple[torch.Tensor, Sequence[int]]:
    return images, indices


def _from_shards(
    folder: Path, rows: Sequence[Row], size: int, indices: Sequence[int]
) -> tuple[torch.Tensor, Sequence[int]]:
    images = []
    for index in indices:
        images.append(read_image(folder, rows[index]))
        _check_size(folder, rows[index], images[-1], size)
    return torch.from_numpy(np.stack(images)), range(len(indices))


def _decode_all(
    folder: Path, rows: Sequence[Row], size: int, device: torch.device, progress: Progress
) -> torch.Tensor:
    images = torch.empty((len(rows), size, size, 3), dtype=torch.uint8, device=device)
    progress.start("read images", len(rows), "images")
    try:
        for start in range(0, len(rows), _CHUNK):
            part = read_images(folder, rows[start : start + _CHUNK])
            _check_size(folder, rows[start], part[0], size)
            images[start : start + _CHUNK] = torch.from_numpy(part)
            progress.update(start + len(part))
    finally:
        progress.finish()
    return images


def _check_size(folder: Path, row: Row, image: np.ndarray, size: int) -> None:
    if image.shape != (size, size, 3):
        raise PipelineError(
            f"{folder / row.shard}: the image at byte {row.offset} has another size than the "
            f"validation images, {size} pixels; run pipeline resize and pipeline manifest again"
        )
