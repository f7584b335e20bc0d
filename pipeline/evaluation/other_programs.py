"""Results of other programs: whether there is one for each image, and of which task they are."""

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor

from pipeline.errors import PipelineError, UsageError
from pipeline.evaluation.folder_pairs import FolderPairs
from pipeline.evaluation.pairs import PairedImages
from pipeline.evaluation.result_files import ResultFiles
from pipeline.images.degradation import degradation_of
from pipeline.images.interpolation import interpolate
from pipeline.images.resample import downscale
from pipeline.params.degradation import DAMAGES, Damage, Degradation
from pipeline.spacing import evenly_spaced

LEAST_DAMAGE = 1.0
"""Mean squared difference between damaged and clean LR images, levels of 255, below which results
do not tell them apart."""
# Measured on drawings, all images together: results of 9 methods of clean LR images have −0.10 to
# 0.00, of those of web 0.26 (Real-ESRGAN) to 0.98. Of 9 methods on 10 drawings, each measured by
# its own damage: light 0.61 to 1.00, heavy 0.81 to 1.00; of clean ones both have −0.04 to 0.00.
# Measured by another damage than their own, results of 7 methods have 0.01 to 0.65 of their own
# share.
MOST_OF_CLEAN = 0.2
LEAST_OF_DAMAGED = 0.1
MOST_COMPARED = 64
"""Images of which it is looked for what was enlarged: damaging one takes up to a second."""


def find_results(folders: Mapping[str, str], images: PairedImages) -> dict[str, ResultFiles]:
    """Return method → its results of all images. Raises `PipelineError` where some are missing."""
    names = [image.name for image in images.images]
    wanted = _wanted_names(images)
    return {
        method: ResultFiles.find(method, Path(folder), names, wanted)
        for method, folder in folders.items()
    }


def check_results(results: Iterable[ResultFiles], images: PairedImages) -> list[str]:
    """Read each method's results of all images; return what was converted, a text each.

    Raises `PipelineError` if a file is missing, damaged or of another size, or if the results are
    of LR images that were made otherwise than those of `images`.
    """
    # LR images of one's own may be of any task.
    most = 0 if images.lr_is_given else MOST_COMPARED
    compared = set(evenly_spaced(len(images), min(most, len(images))))
    texts = []
    for files in results:
        conversions = Counter[str]()
        shares = {damage: _DamageShare() for damage in _damages()}
        for index, image in enumerate(images.images):
            result = files.read(image.name, (image.width, image.height))
            conversions.update(result.conversions)
            if index in compared:
                hr = images.hr(index)
                clean = images.lr(index, hr, "none")
                for damage, share in shares.items():
                    damaged = images.lr(index, hr, damage)
                    share.add(result.pixels, clean, damaged, images.scale)
        _check_task(files, images, {damage: share.value for damage, share in shares.items()})
        texts += [
            f"results of {files.method}: {count} of {len(images)} are {conversion}"
            for conversion, count in conversions.items()
        ]
    return texts


def _wanted_names(images: PairedImages) -> str:
    return "the HR images" if isinstance(images, FolderPairs) else "lr/ of `pipeline pairs`"


def _check_task(
    files: ResultFiles, images: PairedImages, shares: Mapping[Damage, float | None]
) -> None:
    task = images.degradation
    enlarged = _enlarged(task, {name: share for name, share in shares.items() if share is not None})
    if enlarged != task:
        kind = "clean LR images" if enlarged == "none" else f"LR images damaged as by {enlarged}"
        raise PipelineError(
            f"{files.folder}: evaluate.results: {files.method} enlarged {kind}, not those of "
            f"evaluate.degradation {task}; let it enlarge {_wanted_lr(images)}"
        )


def _enlarged(measured: Degradation, shares: Mapping[Damage, float]) -> Degradation:
    """Return of which LR images results are, by the shares of each damage that is left in them.

    It is `measured` where they do not tell. A model that restores leaves little of its damage.
    """
    if not shares:
        return measured
    largest = max(shares, key=lambda damage: shares[damage])
    if shares[largest] > MOST_OF_CLEAN:
        return largest
    is_clean = measured != "none" and shares.get(measured, 1) < LEAST_OF_DAMAGED
    return "none" if is_clean else measured


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


class _DamageShare:
    """How much of the LR images' damage is left in results that were made small again.

    The least squares estimate of a in R − C = a (D − C) + b B, over all pixels of all images: R is
    the result made as small as the clean LR image C, D the damaged one, and B what blur does to C.
    Without B, results that are blurred would seem damaged, as the damage has blur in it.
    """

    def __init__(self) -> None:
        self._products = torch.zeros(3, 3, dtype=torch.float64)
        self._samples = 0

    def add(self, result: Tensor, clean: Tensor, damaged: Tensor, scale: int) -> None:
        """Count an image: (3, H, W), (3, H/scale, W/scale) twice, uint8."""
        blurred = _made_small(interpolate(clean, scale, "bilinear"), scale)
        differences = torch.stack(
            [each.double().flatten() for each in (_made_small(result, scale), damaged, blurred)]
        )
        differences -= clean.double().flatten()
        self._products += differences @ differences.t()
        self._samples += clean.numel()

    @property
    def value(self) -> float | None:
        """The share: about 0 of clean LR images; None if too few pixels are damaged."""
        damage, blur, both = (self._products[at].item() for at in ((1, 1), (2, 2), (1, 2)))
        determinant = damage * blur - both**2
        if damage < LEAST_DAMAGE * self._samples or determinant <= 1e-6 * damage * blur:
            return None
        of_damage, of_blur = self._products[0, 1].item(), self._products[0, 2].item()
        return (of_damage * blur - of_blur * both) / determinant


def _made_small(image: Tensor, scale: int) -> Tensor:
    return downscale(image[None], scale)[0]
