"""LR/HR pairs of images in a folder of one's own."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pipeline.evaluation.pairs import MeasuredImage, PairedImages, check_lr_differs
from pipeline.images.paired_folders import (
    FolderNames,
    PairedFiles,
    list_pairs,
    read_hr,
    read_lr,
    sha256_of_pairs,
)
from pipeline.params.degradation import Degradation
from pipeline.progress import Progress, task
from pipeline.spacing import evenly_spaced

HR_FOLDER = "evaluate.hr_folder"


@dataclass(frozen=True)
class FolderPairs(PairedImages):
    """LR/HR pairs of files, of any sizes."""

    files: Sequence[PairedFiles]
    scale: int
    degradation: Degradation = "none"
    """of LR where it is not given"""

    @classmethod
    def from_folders(
        cls,
        hr_folder: str,
        lr_folder: str | None,
        scale: int,
        max_images: int | None,
        degradation: Degradation,
        progress: Progress,
    ) -> "FolderPairs":
        """List the images of the folders, or `max_images` of them, evenly spaced.

        They are decoded once, so that a damaged one is found before hours of measurement.
        Raises `UsageError` with one line per problem, `PipelineError` if a file cannot be read.
        """
        if lr_folder is None:
            check_lr_differs(scale, degradation)
        names = FolderNames(
            Path(hr_folder),
            None if lr_folder is None else Path(lr_folder),
            HR_FOLDER,
            "evaluate.lr_folder",
        )
        files = list_pairs(names, scale, progress)
        indices = evenly_spaced(len(files), max_images or len(files))
        pairs = cls([files[index] for index in indices], scale, degradation)
        pairs.check(progress)
        return pairs

    @property
    def origin(self) -> str:
        """The param of the HR folder."""
        return HR_FOLDER

    @property
    def lr_is_given(self) -> bool:
        """Whether there is a folder of LR images."""
        return self.files[0].lr is not None

    @cached_property
    def images(self) -> Sequence[MeasuredImage]:
        """The images in the order of their names."""
        return [
            MeasuredImage(
                pair.name,
                pair.width,
                pair.height,
                pair.hr.sha256,
                pair.hr.path.absolute().as_uri(),
            )
            for pair in self.files
        ]

    @property
    def sha256(self) -> str:
        """One hash of all images: their names and files."""
        return sha256_of_pairs(self.files)

    def hr(self, index: int) -> Tensor:
        """Read the original and crop it: (3, H, W) uint8."""
        return _to_tensor(read_hr(self.files[index]))

    def pair(self, index: int) -> tuple[Tensor, Tensor]:
        """Return LR (3, H/scale, W/scale), as it is where it is given, and HR (3, H, W), uint8."""
        if self.lr_is_given:
            return _to_tensor(read_lr(self.files[index])), self.hr(index)
        return super().pair(index)

    def check(self, progress: Progress) -> None:
        """Decode all files. Raises `PipelineError` if one is damaged."""
        with task(progress, "check", len(self), "image"):
            for index, files in enumerate(self.files):
                read_hr(files)
                if self.lr_is_given:
                    read_lr(files)
                progress.update(index + 1)

    def _seed(self, index: int) -> Sequence[int]:
        """Return integers that the image's name determines."""
        digest = hashlib.sha256(self.files[index].name.encode()).digest()
        return [int(number) for number in np.frombuffer(digest, "<u4")]


def _to_tensor(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
