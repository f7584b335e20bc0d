"""Where training images come from: the manifest's shards, and folders of one's own."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import PipelineError
from pipeline.images.paired_folders import PairedFiles, read_hr, read_lr
from pipeline.images.shards import read_image
from pipeline.manifest.rows import Row


class ImageSource(Protocol):
    """Images of one origin; the LR images of all of them are given, or of none."""

    @property
    def weight(self) -> float:
        """Return how often each image comes in an epoch."""

    @property
    def hr_sizes(self) -> NDArray[np.int64]:
        """Return the height and width of each HR image, `(N, 2)`."""

    @property
    def lr_sizes(self) -> NDArray[np.int64] | None:
        """Return those of each LR image, or None where LR is to be made of HR."""

    def read_hr(self, index: int) -> NDArray[np.uint8]:
        """Return an HR image, `(H, W, 3) uint8`. Raises `PipelineError`."""

    def read_lr(self, index: int) -> NDArray[np.uint8]:
        """Return an LR image, `(h, w, 3) uint8`. Raises `PipelineError`."""


@dataclass(frozen=True)
class ManifestImages:
    """Images of the manifest's `rows`, in the shards of `folder`, all `size` pixels square."""

    folder: Path
    rows: Sequence[Row]
    size: int
    weight: float = 1.0

    @property
    def hr_sizes(self) -> NDArray[np.int64]:
        """The size of all images, `(N, 2)`."""
        return np.full((len(self.rows), 2), self.size)

    @property
    def lr_sizes(self) -> None:
        """None: LR is made of HR."""

    def read_hr(self, index: int) -> NDArray[np.uint8]:
        """Return an image, `(size, size, 3) uint8`. Raises `PipelineError`."""
        row = self.rows[index]
        image = read_image(self.folder, row)
        if image.shape != (self.size, self.size, 3):
            raise PipelineError(
                f"{self.folder / row.shard}: the image at byte {row.offset} has another size than "
                f"the first, {self.size} pixels; run pipeline resize and pipeline manifest again"
            )
        return image

    def read_lr(self, index: int) -> NDArray[np.uint8]:
        """Never called: LR is made of HR."""
        raise NotImplementedError


@dataclass(frozen=True)
class FolderImages:
    """Images of a folder, with the LR images of another where those are given."""

    pairs: Sequence[PairedFiles]
    weight: float = 1.0

    @cached_property
    def hr_sizes(self) -> NDArray[np.int64]:
        """The size of each HR image, `(N, 2)`."""
        return np.array([(pair.height, pair.width) for pair in self.pairs], np.int64)

    @cached_property
    def lr_sizes(self) -> NDArray[np.int64] | None:
        """The size of each LR image, `(N, 2)`, or None."""
        sizes = [(pair.lr.height, pair.lr.width) for pair in self.pairs if pair.lr is not None]
        return np.array(sizes, np.int64) if sizes else None

    def read_hr(self, index: int) -> NDArray[np.uint8]:
        """Return an HR image, `(H, W, 3) uint8`. Raises `PipelineError`."""
        return read_hr(self.pairs[index])

    def read_lr(self, index: int) -> NDArray[np.uint8]:
        """Return an LR image, `(h, w, 3) uint8`. Raises `PipelineError`."""
        return read_lr(self.pairs[index])
