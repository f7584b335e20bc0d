"""Images of any size in one tensor, from which crops are cut by a few operations."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.devices import to_device_async

CHANNELS = 3


@dataclass(frozen=True)
class PixelBuffer:
    """The RGB levels of `N` images, one after the other, each row by row.

    `levels (bytes,) uint8` may be on any device. `sizes (N, 2) int64` are height and width, 0 × 0
    for an image that there is none of. `starts (N,) int64` are the images' first bytes.
    """

    levels: Tensor
    sizes: NDArray[np.int64]
    starts: NDArray[np.int64]

    @staticmethod
    def empty(sizes: NDArray[np.int64], device: torch.device) -> "PixelBuffer":
        """Return a buffer for images of such `sizes`, whose levels are not set."""
        ends = sizes.prod(axis=1).cumsum() * CHANNELS
        starts = np.concatenate([[0], ends[:-1]]).astype(np.int64)
        levels = torch.empty(int(ends[-1]), dtype=torch.uint8, device=device)
        return PixelBuffer(levels, sizes, starts)

    @staticmethod
    def of_stack(stack: Tensor) -> "PixelBuffer":
        """Return a buffer of the images `(N, H, W, 3) uint8`, which are not copied."""
        count, height, width, channels = stack.shape
        starts = np.arange(count, dtype=np.int64) * (height * width * channels)
        return PixelBuffer(stack.flatten(), np.full((count, 2), (height, width)), starts)

    @staticmethod
    def of(images: Sequence[NDArray[np.uint8]]) -> "PixelBuffer":
        """Return a buffer of images `(H, W, 3) uint8`, on the CPU."""
        sizes = np.array([image.shape[:2] for image in images], np.int64).reshape(-1, 2)
        buffer = PixelBuffer.empty(sizes, torch.device("cpu"))
        for index, image in enumerate(images):
            buffer.set(index, image)
        return buffer

    def set(self, index: int, image: NDArray[np.uint8]) -> None:
        """Set the levels of an image, `(H, W, 3)` of its size."""
        assert image.shape == (*self.sizes[index], CHANNELS)
        start = int(self.starts[index])
        self.levels[start : start + image.size] = torch.from_numpy(image.reshape(-1))

    def cut(self, images: NDArray[np.int64], corners: NDArray[np.int64], side: int) -> Tensor:
        """Return squares of `side` pixels, `(M, 3, side, side) uint8`, channels last.

        `images (M,)` names the image of each, and `corners (M, 2)` its top and left. All are cut by
        a few operations, however many they are, because each operation costs a GPU the same.
        """
        widths = self.sizes[images, 1]
        firsts = self.starts[images] + (corners[:, 0] * widths + corners[:, 1]) * CHANNELS
        device = self.levels.device
        on_device = to_device_async(torch.from_numpy(np.stack([firsts, widths * CHANNELS])), device)
        rows = on_device[0, :, None] + torch.arange(side, device=device) * on_device[1, :, None]
        # Every row of a crop is one of the buffer's overlapping windows of that many bytes.
        windows = self.levels.unfold(0, side * CHANNELS, 1)
        return windows[rows].view(-1, side, side, CHANNELS).permute(0, 3, 1, 2)
