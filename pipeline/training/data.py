"""Training images: decoded once into memory where they fit, else anew for each batch."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.devices import free_memory
from pipeline.machine_limits import usable_cores
from pipeline.progress import Progress, task
from pipeline.training.crops import LoadedImages, LoadImages
from pipeline.training.pixel_buffer import CHANNELS, PixelBuffer
from pipeline.training.sources import ImageSource

# The rest is for networks, gradients and the system: of the 3.4 GB free on a 4 GB GPU a step at
# batch 2 takes up to 1.6, and cuDNN's workspaces some.
MEMORY_SHARE = 0.4
_CHUNK_BYTES = 2**28
"""Of images that are decoded at once, beside those that are kept."""

_Read = Callable[[int], NDArray[np.uint8]]


@dataclass(frozen=True)
class Images:
    """Access to the training images by their numbers."""

    load: LoadImages
    prefetch: bool
    """whether batches are to be made ahead: images are decoded for each, or far from the GPU"""
    threads: int = 0
    """that may make batches at the same time; 0: one per core"""


def load_images(
    sources: Sequence[ImageSource],
    batch: int,
    device: torch.device,
    processes: int,
    progress: Progress,
) -> Images:
    """Return the images of all sources, as near to `device` as there is room.

    A batch of one of `processes` has `batch` of them.

    They take at most `MEMORY_SHARE` of the free memory: of the device, else of the machine, whose
    memory `processes` share. Where they fit into neither they are decoded for each batch. Raises
    `PipelineError` where one cannot be read or has another size than its source says.
    """
    numbered = _Numbered(sources)
    needed = int(sum(sizes.prod(axis=1).sum() for sizes in numbered.all_sizes)) * CHANNELS
    # LR is made on the CPU for MPS, whose memory is the machine's in any case.
    host = torch.device("cpu")
    devices = [device, host] if device.type == "cuda" else [host]
    for target in devices:
        if needed <= _free_bytes(target, processes) * MEMORY_SHARE:
            images = _decode_all(numbered, target, progress)
            return Images(partial(_from_memory, images), prefetch=target is not devices[0])
    progress.message("the images do not fit into memory: they are decoded at each step")
    return Images(numbered.load, prefetch=True, threads=_threads(numbered, batch, processes))


def _threads(numbered: "_Numbered", batch: int, processes: int) -> int:
    """Return how many threads may hold the images of a batch, decoded, in the machine's memory."""
    largest = int(sum(sizes.prod(axis=1).max() for sizes in numbered.all_sizes)) * CHANNELS
    share = _free_bytes(torch.device("cpu"), processes) * MEMORY_SHARE
    return max(1, min(usable_cores(), int(share / (2 * batch * largest))))


def _free_bytes(device: torch.device, processes: int) -> float:
    """Return the bytes free for one of `processes`; each has a GPU, all share the main memory."""
    sharing = 1 if device.type == "cuda" else processes
    return free_memory(device) / sharing


class _Numbered:
    """The images of all sources, numbered source by source."""

    def __init__(self, sources: Sequence[ImageSource]) -> None:
        self.hr_sizes = np.concatenate([source.hr_sizes for source in sources])
        self.lr_sizes = self._lr_sizes(sources)
        self._located = [
            (source, index) for source in sources for index in range(len(source.hr_sizes))
        ]

    @staticmethod
    def _lr_sizes(sources: Sequence[ImageSource]) -> NDArray[np.int64] | None:
        """Return the sizes of LR images, 0 × 0 where none is given; None where none at all is."""
        given = [source.lr_sizes for source in sources]
        if all(sizes is None for sizes in given):
            return None
        return np.concatenate(
            [
                np.zeros_like(source.hr_sizes) if sizes is None else sizes
                for source, sizes in zip(sources, given, strict=True)
            ]
        )

    @property
    def all_sizes(self) -> list[NDArray[np.int64]]:
        return [self.hr_sizes] + ([] if self.lr_sizes is None else [self.lr_sizes])

    def read_hr(self, number: int) -> NDArray[np.uint8]:
        source, index = self._located[number]
        return source.read_hr(index)

    def read_lr(self, number: int) -> NDArray[np.uint8]:
        """Return an LR image, `(0, 0, 3)` where none is given."""
        source, index = self._located[number]
        if source.lr_sizes is None:
            return np.empty((0, 0, CHANNELS), np.uint8)
        return source.read_lr(index)

    def load(self, numbers: Sequence[int]) -> LoadedImages:
        """Decode images."""
        hr = PixelBuffer.of([self.read_hr(number) for number in numbers])
        lr = None
        if self.lr_sizes is not None:
            lr = PixelBuffer.of([self.read_lr(number) for number in numbers])
        return LoadedImages(hr, lr, np.arange(len(numbers)))


def _decode_all(numbered: _Numbered, device: torch.device, progress: Progress) -> LoadedImages:
    """Decode all images; their positions are their numbers."""
    hr = _decoded(numbered.read_hr, numbered.hr_sizes, device, progress, "read images")
    lr = None
    if numbered.lr_sizes is not None:
        lr = _decoded(numbered.read_lr, numbered.lr_sizes, device, progress, "read LR images")
    return LoadedImages(hr, lr, np.arange(len(numbered.hr_sizes)))


def _decoded(
    read: _Read, sizes: NDArray[np.int64], device: torch.device, progress: Progress, label: str
) -> PixelBuffer:
    buffer, count = PixelBuffer.empty(sizes, device), len(sizes)
    with task(progress, label, count, "images"), ThreadPoolExecutor(usable_cores()) as pool:
        for chunk in _chunks(sizes):
            for index, image in zip(chunk, pool.map(read, chunk), strict=True):
                buffer.set(index, image)
            progress.update(chunk.stop)
    return buffer


def _chunks(sizes: NDArray[np.int64]) -> Iterator[range]:
    """Yield ranges of images of at most `_CHUNK_BYTES`, or of one."""
    start, size = 0, 0
    for index, pixels in enumerate(sizes.prod(axis=1).tolist()):
        if index > start and size + pixels * CHANNELS > _CHUNK_BYTES:
            yield range(start, index)
            start, size = index, 0
        size += pixels * CHANNELS
    yield range(start, len(sizes))


def _from_memory(images: LoadedImages, numbers: Sequence[int]) -> LoadedImages:
    return LoadedImages(images.hr, images.lr, np.asarray(numbers, np.int64))
