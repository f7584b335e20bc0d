"""Results of other programs: whether there is one for each image, and of which task they are."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from pipeline.errors import UsageError
from pipeline.evaluation.folder_pairs import FolderPairs
from pipeline.evaluation.pairs import PairedImages
from pipeline.evaluation.result_files import ResultFiles, results_key
from pipeline.images.degradation import degradation_of
from pipeline.images.interpolation import interpolate
from pipeline.images.resample import downscale
from pipeline.params.degradation import DAMAGES, Damage, Degradation
from pipeline.progress import Progress, task
from pipeline.spacing import evenly_spaced

LEAST_DAMAGE = 1.0
"""Mean squared difference between damaged and clean LR images, levels of 255, below which results
do not tell them apart."""
MOST_OF_CLEAN = 0.2
"""Share of a damage that results of LR images without it have at most."""
LEAST_OF_DAMAGED = 0.1
"""Share of a damage that results of LR images with it have at least."""
LEAST_EXPLAINED = 0.4
"""Part of the results' difference from clean LR images that a damage explains at least, where its
share is believed: results that are blurred, in grey or of one colour differ in other ways."""
MOST_LEFT = 1.5
"""Share of a damage that is believed at most: by chance, what differs otherwise may have more."""
MOST_COMPARED = 64
"""Images by whose results the degradation is told: to damage one takes up to a second."""
LEAST_REFUSED = 4
"""Images below which results are not refused by their degradation: of one, chance decides."""
LEAST_RANK = 1e-6
"""Of the damages' and the blur's correlations: the smallest eigenvalue, as a part of the largest,
with which their shares are told apart."""


def find_results(folders: Mapping[str, str], images: PairedImages) -> dict[str, ResultFiles]:
    """Return method → its results of all images. Raises `UsageError` where some are missing."""
    names = [image.name for image in images.images]
    wanted = _wanted_names(images)
    return {
        method: ResultFiles.find(method, Path(folder), names, wanted)
        for method, folder in folders.items()
    }


def check_results(
    results: Collection[ResultFiles], images: PairedImages, progress: Progress
) -> list[str]:
    """Read each method's results of all images; return what was left out or converted, a text each.

    Raises `PipelineError` if a file is missing or damaged, `UsageError` if it is of another size,
    or if the results are of LR images that were made otherwise than those of `images`.
    """
    if not results:
        return []
    # LR images of one's own may be of any task.
    most = 0 if images.lr_is_given else MOST_COMPARED
    compared = set(evenly_spaced(len(images), min(most, len(images))))
    damages = _damages()
    conversions = {files.method: Counter[str]() for files in results}
    shares = {files.method: _DamageShares(damages) for files in results}
    with task(progress, "results", len(images), "images"):
        for index, image in enumerate(images.images):
            pixels = {}
            for files in results:
                result = files.read(image.name, (image.width, image.height))
                conversions[files.method].update(result.conversions)
                pixels[files.method] = result.pixels
            if index in compared:
                hr = images.hr(index)
                clean = images.lr(index, hr, "none")
                damaged = [images.lr(index, hr, damage) for damage in damages]
                for method, result_pixels in pixels.items():
                    shares[method].add(result_pixels, clean, damaged, images.scale)
            progress.update(index + 1)
    doubts = [
        doubt
        for files in results
        if (doubt := _task_doubt(files, images, shares[files.method].values)) is not None
    ]
    unread = [text for files in results if (text := files.unread_text()) is not None]
    return [*doubts, *unread] + [
        f"results of {method}: {count} of {len(images)} are {conversion}"
        for method, counts in conversions.items()
        for conversion, count in counts.items()
    ]


def _wanted_names(images: PairedImages) -> str:
    return "the HR images" if isinstance(images, FolderPairs) else "lr/ of `pipeline pairs`"


@dataclass(frozen=True)
class _Share:
    """How much of a damage is left in results, and which part of their difference that explains."""

    left: float
    explains: float


def _task_doubt(
    files: ResultFiles, images: PairedImages, shares: Mapping[Damage, _Share]
) -> str | None:
    """Return a warning where results may be of other LR images, None where they seem of these.

    Raises `UsageError` where they show another damage. That none is left shows less: the program
    may have removed it.
    """
    measured = images.degradation
    enlarged = _enlarged(measured, shares)
    if enlarged == measured:
        return None
    kind = "clean LR images" if enlarged == "none" else f"LR images damaged as by {enlarged}"
    text = f", not those of evaluate.degradation {measured}; let it enlarge {_wanted_lr(images)}"
    if enlarged != "none" and len(images) >= LEAST_REFUSED:
        raise UsageError(
            f"{results_key(files.method)}: {files.folder}: the program enlarged {kind}{text}"
        )
    return (
        f"results of {files.method} look as if it had enlarged {kind}{text}, unless it removes "
        "nearly all damage, or blurs"
    )


def _enlarged(measured: Degradation, shares: Mapping[Damage, _Share]) -> Degradation:
    """Return the degradation whose LR images were enlarged, by each damage's share in the results.

    It is `measured` where they do not tell, and wherever its own share may be what a program that
    restores has left: another's has to be twice as large.
    """
    own = shares[measured].left if measured != "none" and measured in shares else None
    others = {
        damage: share.left
        for damage, share in shares.items()
        if damage != measured and share.explains >= LEAST_EXPLAINED and share.left <= MOST_LEFT
    }
    other = max(others, key=lambda damage: others[damage], default=None)
    if other is not None and others[other] > max(MOST_OF_CLEAN, 2 * (own or 0.0)):
        return other
    return "none" if own is not None and own < LEAST_OF_DAMAGED else measured


def _damages() -> list[Damage]:
    """Return the damages that can be made: `heavy` has AVIF, which not every Pillow writes."""
    damages: list[Damage] = []
    for damage in DAMAGES:
        with suppress(UsageError):
            degradation_of(damage)
            damages.append(damage)
    return damages


def _wanted_lr(images: PairedImages) -> str:
    if isinstance(images, FolderPairs):
        return "such ones"
    return f"those that `pipeline pairs --degradation {images.degradation}` writes"


class _DamageShares:
    """How much of each damage of LR images is left in results that were made small again.

    The least squares estimate of the shares s in R − C = Σ s (D − C) + b B, over all pixels of all
    images: R is the result made as small as the clean LR image C, D the LR image with each damage,
    and B what blur does to C. Without B, results that are blurred would seem damaged, as damages
    have blur in them; by themselves, so would those of one damage by another.
    """

    def __init__(self, damages: Sequence[Damage]) -> None:
        self._damages = damages
        # Of the result, each damage, and blur.
        self._products = torch.zeros(len(damages) + 2, len(damages) + 2, dtype=torch.float64)
        self._samples = 0

    def add(self, result: Tensor, clean: Tensor, damaged: Sequence[Tensor], scale: int) -> None:
        """Count an image: (3, H, W) and, of LR images, (3, H/scale, W/scale), all uint8."""
        blurred = _made_small(interpolate(clean, scale, "bilinear"), scale)
        images = (_made_small(result, scale), *damaged, blurred)
        differences = torch.stack([image.double().flatten() for image in images])
        differences -= clean.double().flatten()
        self._products += differences @ differences.t()
        self._samples += clean.numel()

    @property
    def values(self) -> dict[Damage, _Share]:
        """The share of each damage that can be told, about 0 of clean LR images."""
        energies = self._products.diagonal()[1:-1] >= LEAST_DAMAGE * self._samples
        used = [index for index, is_enough in enumerate(energies.tolist(), 1) if is_enough]
        columns = [*used, len(self._damages) + 1]
        norms = self._products.diagonal()[columns].sqrt()
        if not used or not norms.all():
            return {}
        correlations = self._products[columns][:, columns] / norms.outer(norms)
        eigenvalues = torch.linalg.eigvalsh(correlations)
        if eigenvalues[0] <= LEAST_RANK * eigenvalues[-1]:
            return {}
        shares = torch.linalg.solve(correlations, self._products[columns, 0] / norms) / norms
        explained = shares * self._products[columns, 0] / self._products[0, 0].clamp_min(1)
        return {
            self._damages[column - 1]: _Share(share, part)
            for column, share, part in zip(used, shares.tolist(), explained.tolist(), strict=False)
        }


def _made_small(image: Tensor, scale: int) -> Tensor:
    return downscale(image[None], scale)[0]
