"""The images of a training: those to train on, source by source, and those to validate on."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UsageError, some_of
from pipeline.images.paired_folders import (
    FolderNames,
    PairedFiles,
    list_pairs,
    read_hr,
    read_lr,
    sha256_of_pairs,
)
from pipeline.images.shards import read_image, read_images
from pipeline.manifest.rows import Row, read_manifest, rows_of_split, train_images_sha256
from pipeline.params import TrainParams
from pipeline.params.train_checks import MANIFEST_NAME
from pipeline.progress import Progress
from pipeline.spacing import evenly_spaced
from pipeline.training.images_on_demand import ImagesOnDemand
from pipeline.training.run_inputs import TrainPaths
from pipeline.training.sources import FolderImages, ImageSource, ManifestImages

T = TypeVar("T")

SMALLEST_VALIDATION_SIDE = 32
"""HR pixels; SSIM needs 19."""


@dataclass(frozen=True)
class RunImages:
    """The images of a training. Those to train on are not decoded yet."""

    sources: Sequence[ImageSource]
    validation_hr: Sequence[NDArray[np.uint8]]
    """(H, W, 3) each"""
    validation_lr: Sequence[NDArray[np.uint8]] | None
    """those that are given, or None where LR is to be made of HR"""
    validation_side: int
    """shorter side of the smallest image to validate on, HR pixels"""
    train_images_sha256: str | None
    """of the manifest's training images; None where they are not trained on"""
    folders_sha256: str | None
    """of names and files in `train.hr_folders` and `train.lr_folders`; None where there are none"""


def read_run_images(params: TrainParams, paths: TrainPaths, progress: Progress) -> RunImages:
    """Read manifest, folders and validation images.

    Raises `PipelineError` where they are missing or damaged, `UsageError` where params do not fit
    them.
    """
    rows = read_manifest(paths.manifest) if params.reads_manifest else []
    uses_manifest = params.val_hr_folder is None
    validation_rows: Sequence[Row] = []
    if uses_manifest:
        other = "name a folder to validate on: train.val_hr_folder"
        validation_rows = rows_of_split(paths.manifest, rows, "val", other)
    sources: list[ImageSource] = []
    images_sha256 = None
    if params.weight(MANIFEST_NAME):
        sources.append(_manifest_source(params, paths, rows))
        images_sha256 = train_images_sha256(rows)
    folders = {
        name: _fitting(name, params, pairs, progress)
        for name, pairs in _list_folders(params, paths, progress).items()
    }
    sources += [FolderImages(pairs, params.weight(name)) for name, pairs in folders.items()]
    hashes = images_sha256, _folders_sha256(folders)
    if uses_manifest:
        images = list(read_images(paths.resized, _spread(validation_rows, params)))
        return RunImages(sources, images, None, min(map(len, images)), *hashes)
    pairs = _list_validation_pairs(params, paths, progress)
    _report_seen_images(pairs, folders, progress)
    hr = _checked_images(pairs, read_hr)
    lr = None if params.val_lr_folder is None else _checked_images(pairs, read_lr)
    shorter_side = min(min(pair.width, pair.height) for pair in pairs)
    return RunImages(sources, hr, lr, shorter_side, *hashes)


def _checked_images(
    pairs: Sequence[PairedFiles], read: Callable[[PairedFiles], NDArray[np.uint8]]
) -> Sequence[NDArray[np.uint8]]:
    """Return the images that `read` reads. Raises `PipelineError` where one is damaged."""
    images = ImagesOnDemand(len(pairs), lambda index: read(pairs[index]))
    # Large ones, too, so that a damaged one is found before the first step.
    for index in range(len(images)):
        images[index]
    return images


def _list_folders(
    params: TrainParams, paths: TrainPaths, progress: Progress
) -> dict[str, list[PairedFiles]]:
    """Return name → pairs of each folder that is trained on, by name."""
    return {
        name: list_pairs(
            FolderNames(
                hr=paths.resolve(params.hr_folders[name]),
                lr=_resolved(paths, params.lr_folders.get(name)),
                hr_key=f"train.hr_folders.{name}",
                lr_key=f"train.lr_folders.{name}",
            ),
            params.scale,
            progress,
        )
        for name in sorted(params.hr_folders)
        if params.weight(name)
    }


def _resolved(paths: TrainPaths, name: str | None) -> Path | None:
    return None if name is None else paths.resolve(name)


def _list_validation_pairs(
    params: TrainParams, paths: TrainPaths, progress: Progress
) -> list[PairedFiles]:
    """Return the pairs to validate on, spaced evenly by name. Raises `UsageError`."""
    assert params.val_hr_folder is not None
    names = FolderNames(
        hr=paths.resolve(params.val_hr_folder),
        lr=_resolved(paths, params.val_lr_folder),
        hr_key="train.val_hr_folder",
        lr_key="train.val_lr_folder",
    )
    pairs = list_pairs(names, params.scale, progress)
    chosen = _spread(pairs, params)
    small = [
        str(pair.hr.path)
        for pair in chosen
        if min(pair.width, pair.height) < SMALLEST_VALIDATION_SIDE
    ]
    if small:
        raise UsageError(
            f"train.val_hr_folder: smaller than {SMALLEST_VALIDATION_SIDE} pixels: "
            f"{some_of(small)}; remove them from the folder"
        )
    return chosen


def _manifest_source(params: TrainParams, paths: TrainPaths, rows: Sequence[Row]) -> ManifestImages:
    """Return the manifest's training images.

    Raises `PipelineError` where there are none, `UsageError` where crops do not fit them.
    """
    other = "train on folders alone: train.hr_folders, and train.folder_weights with manifest: 0"
    training_rows = rows_of_split(paths.manifest, rows, "train", other)
    size = len(read_image(paths.resized, training_rows[0]))
    side = size // params.scale * params.scale
    if params.crop > side:
        raise UsageError(
            f"train.crop: {params.crop} is larger than the images of {paths.manifest}, "
            f"{side} pixels; lower it to that or less, or raise resize.size and run pipeline "
            "resize and pipeline manifest again"
        )
    return ManifestImages(paths.resized, training_rows, size, params.weight(MANIFEST_NAME))


def _fitting(
    name: str, params: TrainParams, pairs: Sequence[PairedFiles], progress: Progress
) -> list[PairedFiles]:
    """Return a folder's pairs, without those that are smaller than a crop, which is reported."""
    fitting = [pair for pair in pairs if min(pair.width, pair.height) >= params.crop]
    small = [str(pair.hr.path) for pair in pairs if min(pair.width, pair.height) < params.crop]
    if not fitting:
        largest = max(min(pair.width, pair.height) for pair in pairs)
        raise UsageError(
            f"train.hr_folders.{name}: all images are smaller than train.crop, {params.crop} "
            f"pixels; lower that to {largest} or less"
        )
    if small:
        progress.message(
            f"train.hr_folders.{name}: {len(small)} of {len(pairs)} images are smaller than "
            f"train.crop, {params.crop} pixels, and left out: {some_of(small, most=3)}"
        )
    return fitting


def _spread(images: Sequence[T], params: TrainParams) -> list[T]:
    """Return the images to validate on, spaced evenly: the first ones are of one time or artist."""
    return [images[index] for index in evenly_spaced(len(images), params.validation_images)]


def _report_seen_images(
    validation: Sequence[PairedFiles],
    folders: Mapping[str, Sequence[PairedFiles]],
    progress: Progress,
) -> None:
    """Report files that are both trained and validated on."""
    trained_on = {pair.hr.sha256 for pairs in folders.values() for pair in pairs}
    if seen := [str(pair.hr.path) for pair in validation if pair.hr.sha256 in trained_on]:
        progress.message(
            f"train.val_hr_folder: {len(seen)} of {len(validation)} images are in "
            f"train.hr_folders too, so that validation does not speak for them: "
            f"{some_of(seen, most=3)}"
        )


def _folders_sha256(folders: Mapping[str, Sequence[PairedFiles]]) -> str | None:
    if not folders:
        return None
    hashes = "".join(f"{name} {sha256_of_pairs(pairs)}\n" for name, pairs in folders.items())
    return hashlib.sha256(hashes.encode()).hexdigest()
