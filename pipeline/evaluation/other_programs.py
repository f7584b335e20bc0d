"""Results of other programs: whether there is one for each image, and of which task they are."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from pipeline.errors import PipelineError
from pipeline.evaluation.folder_pairs import FolderPairs
from pipeline.evaluation.pairs import PairedImages
from pipeline.images.degradation import Degradation
from pipeline.images.interpolation import interpolate
from pipeline.images.resample import downscale

OTHER_TASK: dict[Degradation, Degradation] = {"none": "web", "web": "none"}
TASK_NAMES: dict[Degradation, str] = {"none": "clean", "web": "damaged"}
LEAST_DAMAGE = 1.0
"""Mean squared difference between damaged and clean LR images, levels of 255, below which results
do not tell them apart."""
# Measured on drawings, all images together: results of 9 methods of clean LR images have −0.10 to
# 0.00, of damaged ones 0.26 (Real-ESRGAN) to 0.98.
MOST_OF_CLEAN = 0.2
LEAST_OF_DAMAGED = 0.1


def check_results(folders: Mapping[str, Path], images: PairedImages) -> None:
    """Read each method's results for all images.

    Raises `PipelineError` if a file is missing, damaged or of another size, or if the results are
    of LR images that were made otherwise than those of `images`.
    """
    for method, folder in folders.items():
        _check_names(method, folder, images)
        share = _DamageShare()
        for index, image in enumerate(images.images):
            size = image.width, image.height
            result = read_result(folder / f"{image.name}.png", method, size)
            # LR images of one's own may be of any task.
            if not images.lr_is_given:
                hr = images.hr(index)
                lr = {task: images.lr(index, hr, task) for task in OTHER_TASK}
                share.add(result, lr["none"], lr["web"], images.scale)
        if not images.lr_is_given:
            _check_task(method, folder, images, share.value)


def read_result(path: Path, method: str, size: tuple[int, int]) -> Tensor:
    """Return a result, (3, H, W) uint8. Raises `PipelineError` if it is none of that `size`."""
    try:
        with Image.open(path, formats=("PNG",)) as image:
            if image.size != size:
                width, height = image.size
                raise PipelineError(
                    f"{path}: {width}×{height}, not {size[0]}×{size[1]}; {method} has to enlarge "
                    "the LR images: those that `pipeline pairs` writes, or of evaluate.lr_folder"
                )
            pixels = np.array(image.convert("RGB"))
    except FileNotFoundError:
        raise PipelineError(
            f"{path}: not found; evaluate.results: {method} needs a result for every image"
        ) from None
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise PipelineError(f"{path}: no complete PNG file: {error}") from None
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def _check_names(method: str, folder: Path, images: PairedImages) -> None:
    names = [f"{image.name}.png" for image in images.images]
    files = [path for path in folder.rglob("*") if path.is_file()]
    present = {path.relative_to(folder).as_posix() for path in files}
    missing = [name for name in names if name not in present]
    if not missing:
        return
    others = sorted(name for name in present - set(names) if not name.startswith("."))
    raise PipelineError(
        f"{folder / missing[0]}: not found; evaluate.results: {method} needs a result for every "
        f"image, with the names of {_wanted_names(images)}: {len(missing)} of {len(names)} are "
        f"missing" + (f", and {others[0]} is no image's name" if others else "")
    )


def _wanted_names(images: PairedImages) -> str:
    return "the HR images" if isinstance(images, FolderPairs) else "lr/ of `pipeline pairs`"


def _check_task(method: str, folder: Path, images: PairedImages, share: float | None) -> None:
    if share is None:
        return
    task = images.degradation
    is_of_other = share < LEAST_OF_DAMAGED if task == "web" else share > MOST_OF_CLEAN
    if is_of_other:
        raise PipelineError(
            f"{folder}: evaluate.results: {method} enlarged {TASK_NAMES[OTHER_TASK[task]]} LR "
            f"images, not the {TASK_NAMES[task]} ones of evaluate.degradation {task}; let it "
            f"enlarge {_wanted_lr(images)}"
        )


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
