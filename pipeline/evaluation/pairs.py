"""The images of one split as pairs for super-resolution: originals whose sides fit the scale."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image

from pipeline.errors import PipelineError
from pipeline.files import atomic_path
from pipeline.images.degradation import Degradation, make_lr
from pipeline.images.shards import read_image
from pipeline.manifest.rows import Row, read_manifest
from pipeline.progress import Progress


@dataclass(frozen=True)
class Pairs:
    """Some rows of a manifest, and their images, cropped to a multiple of the scale."""

    rows: Sequence[Row]
    resized: Path
    scale: int
    degradation: Degradation = "none"

    @classmethod
    def of_split(
        cls,
        manifest: Path,
        resized: Path,
        split: str,
        scale: int,
        at_most: int | None = None,
        degradation: Degradation = "none",
    ) -> "Pairs":
        """The images of a split, or `at_most` of them, evenly spread.

        Raises `PipelineError` where there are none.
        """
        rows = [row for row in read_manifest(manifest) if row.split == split]
        if not rows:
            raise PipelineError(
                f"{manifest}: no image in the split {split}; raise manifest.{split}_fraction, or "
                "set evaluate.split to the other one"
            )
        chosen = spread(len(rows), at_most or len(rows))
        return cls([rows[index] for index in chosen], resized, scale, degradation)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def side(self) -> int:
        """Shorter side of the originals, pixels; a manifest's images are all of one size."""
        return min(self.original(0).shape[-2:])

    def original(self, index: int) -> torch.Tensor:
        """(3, H, W) uint8."""
        pixels = torch.from_numpy(read_image(self.resized, self.rows[index])).permute(2, 0, 1)
        height, width = (side // self.scale * self.scale for side in pixels.shape[-2:])
        return pixels[:, :height, :width].contiguous()

    def pair(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        """LR (3, H/scale, W/scale) and HR (3, H, W), uint8, the same each time."""
        row, hr = self.rows[index], self.original(index)
        lr = make_lr(hr[None], self.scale, self.degradation, [(row.id, row.tile)])[0]
        return lr, hr


def write_pairs(pairs: Pairs, folder: Path, progress: Progress) -> None:
    """Write `lr/NAME.png` and `hr/NAME.png` for each image; files that are there are replaced."""
    progress.start("pairs", len(pairs), "image")
    try:
        for index, row in enumerate(pairs.rows):
            for side, pixels in zip(("lr", "hr"), pairs.pair(index), strict=True):
                image = Image.fromarray(pixels.permute(1, 2, 0).numpy())
                with atomic_path(folder / side / f"{row.name}.png") as temporary:
                    image.save(temporary, "PNG")
            progress.update(index + 1)
    finally:
        progress.finish()


def spread(length: int, count: int) -> list[int]:
    """`count` indices below `length`, evenly spread, first and last among them; all if fewer."""
    if count >= length:
        return list(range(length))
    if count == 1:
        return [length // 2]
    return [round(at * (length - 1) / (count - 1)) for at in range(count)]
