"""HR images in a folder of one's own, and the LR images of another folder that belong to them."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UsageError, some_of
from pipeline.images.folder_images import ImageFile, read_folder, read_image
from pipeline.params.section import SCALES
from pipeline.progress import Progress, Silent


@dataclass(frozen=True)
class FolderNames:
    """The folders of some pairs, and the params that name them, for messages."""

    hr: Path
    lr: Path | None
    hr_key: str
    lr_key: str = ""


@dataclass(frozen=True)
class PairedFiles:
    """An HR image and, where it is given, the LR image that belongs to it.

    `name` is HR's path below its folder, without suffix. `width` and `height` are HR's after it is
    cut at the right and at the bottom to multiples of the scale.
    """

    name: str
    hr: ImageFile
    lr: ImageFile | None
    width: int
    height: int


def list_pairs(
    folders: FolderNames, scale: int, progress: Progress = Silent()
) -> list[PairedFiles]:
    """Return the pairs of two folders, by name; all files are read, but hardly any is decoded.

    The LR image of `a/b.png` is `a/b` of any format, or `a/bx4` or `a/b_x4` at scale 4. Its size is
    that of HR divided by the scale, rounded down. Hidden files are left out. Raises `UsageError`
    with one line per problem.
    """
    hr = read_folder(folders.hr, folders.hr_key, progress)
    if folders.lr is None:
        pairs = [_paired(name, file, None, scale) for name, file in hr.items()]
    else:
        lr = read_folder(folders.lr, folders.lr_key, progress)
        pairs = list(_matched(folders, hr, lr, scale))
    _check_sizes(folders, pairs, scale)
    return pairs


def read_hr(pair: PairedFiles) -> NDArray[np.uint8]:
    """Decode HR and cut it to multiples of the scale: `(H, W, 3) uint8`.

    Raises `PipelineError` where the file is damaged, or another than it was when it was listed.
    """
    return read_image(pair.hr)[: pair.height, : pair.width]


def read_lr(pair: PairedFiles) -> NDArray[np.uint8]:
    """Decode LR, which must be given: `(H/scale, W/scale, 3) uint8`. Raises like `read_hr`."""
    assert pair.lr is not None
    return read_image(pair.lr)


def sha256_of_pairs(pairs: Sequence[PairedFiles]) -> str:
    """Return one SHA-256 for the names of all pairs and the bytes of their files."""
    digest = hashlib.sha256()
    for pair in pairs:
        lr = pair.lr.sha256 if pair.lr is not None else "-"
        digest.update(f"{pair.name}\0{pair.hr.sha256}\0{lr}\n".encode())
    return digest.hexdigest()


def _matched(
    folders: FolderNames, hr: dict[str, ImageFile], lr: dict[str, ImageFile], scale: int
) -> Iterator[PairedFiles]:
    """Yield the pairs. Raises `UsageError` where an image of one of the folders has none."""
    # An LR image with the very name of an HR image is of that one alone.
    matches = {
        name: [
            one for one in _lr_names(name, scale) if one in lr and (one == name or one not in hr)
        ]
        for name in hr
    }
    problems = []
    if without := [str(file.path) for name, file in hr.items() if not matches[name]]:
        problems.append(
            f"{folders.lr_key}: {folders.lr}: no LR image for {some_of(without, most=3)}; add "
            "them, under the same names, or remove these"
        )
    matched = {one for names in matches.values() for one in names}
    if without := [str(file.path) for name, file in lr.items() if name not in matched]:
        problems.append(
            f"{folders.hr_key}: {folders.hr}: no HR image for {some_of(without, most=3)}; add "
            "them, under the same names, or remove these"
        )
    if twice := [" and ".join(names) for names in matches.values() if len(names) > 1]:
        problems.append(
            f"{folders.lr_key}: {folders.lr}: LR images of one HR image: {some_of(twice)}; remove "
            "all but one of each"
        )
    if problems:
        raise UsageError("\n".join(problems))
    for name, file in hr.items():
        yield _paired(name, file, lr[matches[name][0]], scale)


def _lr_names(name: str, scale: int) -> list[str]:
    """Return the names that the LR image of `name` may have; `NAMEx4` is DIV2K's."""
    return [name, f"{name}x{scale}", f"{name}_x{scale}"]


def _paired(name: str, hr: ImageFile, lr: ImageFile | None, scale: int) -> PairedFiles:
    return PairedFiles(name, hr, lr, hr.width // scale * scale, hr.height // scale * scale)


def _check_sizes(folders: FolderNames, pairs: Sequence[PairedFiles], scale: int) -> None:
    small = [str(pair.hr.path) for pair in pairs if not min(pair.width, pair.height)]
    if small:
        raise UsageError(
            f"{folders.hr_key}: smaller than one LR pixel: {some_of(small)}; remove them"
        )
    wrong = [
        (pair.lr, pair)
        for pair in pairs
        if pair.lr is not None
        and (pair.lr.width * scale, pair.lr.height * scale) != (pair.width, pair.height)
    ]
    if wrong:
        examples = [
            f"{lr.path} is {lr.width}×{lr.height}, {pair.hr.path} needs "
            f"{pair.width // scale}×{pair.height // scale}"
            for lr, pair in wrong
        ]
        raise UsageError(
            f"{folders.lr_key}: {_size_advice(pairs, scale)}; {some_of(examples, most=2)}"
        )


def _size_advice(pairs: Sequence[PairedFiles], scale: int) -> str:
    """Return what is wrong with the sizes of the LR images, and what to do."""
    sizes = [(pair.hr, pair.lr) for pair in pairs if pair.lr is not None]
    if all(lr.width > hr.width and lr.height > hr.height for hr, lr in sizes):
        return "the LR images are larger than the HR images; exchange the two folders"
    for other in SCALES:
        if all(
            (lr.width, lr.height) == (hr.width // other, hr.height // other) for hr, lr in sizes
        ):
            return f"the images are of scale {other}, not {scale}; set train.scale, or make LR anew"
    return f"not all images have an LR image of scale {scale}; make these anew"
