"""LR/HR pairs of the images of one split."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from pipeline.errors import PipelineError
from pipeline.evaluation.spacing import evenly_spaced
from pipeline.files import atomic_path, write_text
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
        hr = self.hr(index)
        return self.lr(index, hr, self.degradation), hr

    def lr(self, index: int, hr: torch.Tensor, degradation: Degradation) -> torch.Tensor:
        """Return LR (3, H/scale, W/scale) of an image's `hr`, uint8; deterministic."""
        row = self.rows[index]
        return make_lr(hr[None], self.scale, degradation, [(row.id, row.tile)])[0]


def write_pairs(pairs: PairedImages, folder: Path, progress: Progress) -> None:
    """Write `lr/NAME.png` and `hr/NAME.png` for each image, and `pairs.json`: what they are of.

    Replaces files of the same task. Raises `PipelineError` if `folder` has pairs of another one.
    """
    _describe(pairs, folder)
    with task(progress, "pairs", len(pairs), "image"):
        for index, row in enumerate(pairs.rows):
            for side, pixels in zip(("lr", "hr"), pairs.pair(index), strict=True):
                image = Image.fromarray(pixels.permute(1, 2, 0).numpy())
                with atomic_path(folder / side / f"{row.name}.png") as temporary:
                    image.save(temporary, "PNG")
            progress.update(index + 1)


def _describe(pairs: PairedImages, folder: Path) -> None:
    """Write `pairs.json` before the images, so that a run that was stopped has left one too."""
    path = folder / "pairs.json"
    if not path.exists() and any((folder / "lr").glob("*.png")):
        raise PipelineError(
            f"{folder / 'lr'}: has images of an unknown task; name another folder, or remove it"
        )
    ours = {"degradation": pairs.degradation, "scale": pairs.scale, "split": pairs.rows[0].split}
    images = {row.name: row.sha256 for row in pairs.rows}
    if path.exists():
        theirs = _read_description(path)
        written = theirs.pop("images")
        different = [f"{key} {theirs.get(key)}" for key in ours if theirs.get(key) != ours[key]]
        if any(written.get(name, images[name]) != images[name] for name in images):
            different.append("other images")
        if different:
            raise PipelineError(
                f"{path}: the pairs here have {', '.join(different)}; name another folder, or "
                f"remove this one"
            )
        images = written | images
    write_text(path, json.dumps(ours | {"images": images}, indent=2) + "\n")


def _read_description(path: Path) -> dict[str, Any]:
    try:
        description = json.loads(path.read_bytes())
        return {**description, "images": {**description["images"]}}
    except (ValueError, RecursionError, KeyError, TypeError):
        raise PipelineError(f"{path}: damaged JSON; remove the folder {path.parent}") from None
