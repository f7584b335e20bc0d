"""LR/HR pairs of the images of one split."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image

from pipeline.errors import PipelineError
from pipeline.evaluation.spacing import evenly_spaced
from pipeline.files import atomic_path
from pipeline.images.degradation import Degradation, make_lr
from pipeline.images.shards import read_image
from pipeline.manifest.rows import Row, read_manifest
from pipeline.progress import Progress, task


@dataclass(frozen=True)
class PairedImages:
    """LR/HR pairs of some rows of a manifest; HR is cropped to a multiple of the scale."""

    rows: Sequence[Row]
    shard_folder: Path
    scale: int
    degradation: Degradation = "none"

    @classmethod
    def from_split(
        cls,
        manifest_file: Path,
        shard_folder: Path,
        split: str,
        scale: int,
        max_images: int | None = None,
        degradation: Degradation = "none",
    ) -> "PairedImages":
        """Select the images of a split, or `max_images` of them, evenly spaced.

        Raises `PipelineError` if the split is empty.
        """
        rows = [row for row in read_manifest(manifest_file) if row.split == split]
        if not rows:
            raise PipelineError(
                f"{manifest_file}: no image in the split {split}; raise "
                f"manifest.{split}_fraction, or set evaluate.split to the other one"
            )
        indices = evenly_spaced(len(rows), max_images or len(rows))
        return cls([rows[index] for index in indices], shard_folder, scale, degradation)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of HR in pixels; all images of a manifest have the same."""
        height, width = self.hr(0).shape[-2:]
        return width, height

    def hr(self, index: int) -> torch.Tensor:
        """Return the original, cropped to a multiple of the scale: (3, H, W) uint8."""
        pixels = torch.from_numpy(read_image(self.shard_folder, self.rows[index])).permute(2, 0, 1)
        height, width = (side // self.scale * self.scale for side in pixels.shape[-2:])
        return pixels[:, :height, :width].contiguous()

    def pair(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return LR (3, H/scale, W/scale) and HR (3, H, W), uint8; deterministic."""
        row, hr = self.rows[index], self.hr(index)
        lr = make_lr(hr[None], self.scale, self.degradation, [(row.id, row.tile)])[0]
        return lr, hr


def write_pairs(pairs: PairedImages, folder: Path, progress: Progress) -> None:
    """Write `lr/NAME.png` and `hr/NAME.png` for each image, replacing existing files."""
    with task(progress, "pairs", len(pairs), "image"):
        for index, row in enumerate(pairs.rows):
            for side, pixels in zip(("lr", "hr"), pairs.pair(index), strict=True):
                image = Image.fromarray(pixels.permute(1, 2, 0).numpy())
                with atomic_path(folder / side / f"{row.name}.png") as temporary:
                    image.save(temporary, "PNG")
            progress.update(index + 1)
