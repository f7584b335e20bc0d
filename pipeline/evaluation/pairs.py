"""LR/HR pairs of images, and those of a manifest's split."""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from pipeline.errors import PipelineError, UsageError
from pipeline.files import atomic_path, write_text
from pipeline.images.degradation import make_lr
from pipeline.images.shards import read_image
from pipeline.manifest.rows import Row, Split, measured_rows
from pipeline.params.degradation import Degradation
from pipeline.progress import Progress, task
from pipeline.spacing import evenly_spaced


@dataclass(frozen=True)
class MeasuredImage:
    """An image that is measured: its name in reports, its HR size in pixels, and its origin."""

    name: str
    width: int
    height: int
    sha256: str
    """of its pixels in the manifest, of its file in a folder"""
    address: str
    """of its post, or of its file"""
    source: str = ""
    """where its post says it is from"""

    @property
    def shorter_side(self) -> int:
        """Pixels."""
        return min(self.width, self.height)

    @property
    def size_text(self) -> str:
        """Width and height as messages show them."""
        return f"{self.width}×{self.height}"


class PairedImages(ABC):
    """LR/HR pairs of images of any origin; HR is cropped to a multiple of the scale."""

    scale: int
    degradation: Degradation
    """how LR is made"""

    @property
    @abstractmethod
    def origin(self) -> str:
        """The manifest's split, or the param that names their folder."""

    @property
    @abstractmethod
    def images(self) -> Sequence[MeasuredImage]:
        """The images, in the order of their indices."""

    @abstractmethod
    def hr(self, index: int) -> Tensor:
        """Return the original, cropped to a multiple of the scale: (3, H, W) uint8."""

    @abstractmethod
    def _seed(self, index: int) -> Sequence[int]:
        """Return what determines the damage of an image's LR."""

    def __len__(self) -> int:
        return len(self.images)

    @property
    def lr_is_given(self) -> bool:
        """Whether LR is read from files of its own, and not made."""
        return False

    @property
    def smallest(self) -> MeasuredImage:
        """The image with the shortest side."""
        return min(self.images, key=lambda image: image.shorter_side)

    def pair(self, index: int) -> tuple[Tensor, Tensor]:
        """Return LR (3, H/scale, W/scale) and HR (3, H, W), uint8; deterministic."""
        hr = self.hr(index)
        return self.lr(index, hr, self.degradation), hr

    def lr(self, index: int, hr: Tensor, degradation: Degradation) -> Tensor:
        """Make LR (3, H/scale, W/scale) of an image's `hr`, uint8; deterministic."""
        return make_lr(hr[None], self.scale, degradation, [self._seed(index)])[0]


@dataclass(frozen=True)
class SplitPairs(PairedImages):
    """LR/HR pairs of some rows of a manifest."""

    rows: Sequence[Row]
    shard_folder: Path
    scale: int
    degradation: Degradation = "none"

    @classmethod
    def from_split(
        cls,
        manifest_file: Path,
        shard_folder: Path,
        split: Split,
        scale: int,
        max_images: int | None = None,
        degradation: Degradation = "none",
    ) -> "SplitPairs":
        """Select the images of a split, or `max_images` of them, evenly spaced.

        Raises `PipelineError` if the split is empty, `UsageError` if LR would be HR.
        """
        check_lr_differs(scale, degradation)
        rows = measured_rows(manifest_file, split)
        indices = evenly_spaced(len(rows), max_images or len(rows))
        return cls([rows[index] for index in indices], shard_folder, scale, degradation)

    @property
    def origin(self) -> str:
        """The split."""
        return self.rows[0].split

    @cached_property
    def images(self) -> Sequence[MeasuredImage]:
        """The images of the rows; all images of a manifest have the size of the first."""
        height, width = self.hr(0).shape[-2:]
        return [
            MeasuredImage(row.name, width, height, row.sha256, row.post_url, row.source)
            for row in self.rows
        ]

    def hr(self, index: int) -> Tensor:
        """Read the original from its shard and crop it: (3, H, W) uint8."""
        pixels = torch.from_numpy(read_image(self.shard_folder, self.rows[index])).permute(2, 0, 1)
        height, width = (side // self.scale * self.scale for side in pixels.shape[-2:])
        return pixels[:, :height, :width].contiguous()

    def _seed(self, index: int) -> Sequence[int]:
        row = self.rows[index]
        return row.id, row.tile


def check_lr_differs(scale: int, degradation: Degradation) -> None:
    """Raise `UsageError` where LR images that are made equal HR."""
    if scale == 1 and degradation == "none":
        raise UsageError(
            "evaluate.degradation: at scale 1 LR made by none is HR itself; set it to another, as "
            "web, or give LR images: evaluate.hr_folder, evaluate.lr_folder"
        )


def write_pairs(pairs: PairedImages, folder: Path, progress: Progress) -> None:
    """Write `lr/NAME.png` and `hr/NAME.png` for each image, and `pairs.json`: what they are of.

    Replaces files of the same task, and says so. Raises `PipelineError` if `folder` has pairs of
    another one.
    """
    _describe(pairs, folder)
    existing = sum((folder / "lr" / f"{one.name}.png").exists() for one in pairs.images)
    if existing:
        progress.message(
            f"{folder}: {existing} of {len(pairs)} images are there already, and are written again"
        )
    with task(progress, "pairs", len(pairs), "image"):
        for index, one in enumerate(pairs.images):
            for side, pixels in zip(("lr", "hr"), pairs.pair(index), strict=True):
                image = Image.fromarray(pixels.permute(1, 2, 0).numpy())
                with atomic_path(folder / side / f"{one.name}.png") as temporary:
                    image.save(temporary, "PNG")
            progress.update(index + 1)


def _describe(pairs: PairedImages, folder: Path) -> None:
    """Write `pairs.json` before the images, so that a run that was stopped has left one too."""
    path = folder / "pairs.json"
    if not path.exists() and any((folder / "lr").rglob("*.png")):
        raise PipelineError(
            f"{folder / 'lr'}: has images of an unknown task; name another folder, or remove it"
        )
    ours = {"degradation": pairs.degradation, "scale": pairs.scale, "split": pairs.origin}
    images = {one.name: one.sha256 for one in pairs.images}
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
