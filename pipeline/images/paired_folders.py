"""HR images in a folder of one's own, and the LR images of another folder that belong to them."""

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.errors import PipelineError, UsageError, some_of
from pipeline.images.decode import (
    ImageRefused,
    decode,
    decoding,
    frame_count,
    opened,
)
from pipeline.images.opening import TRANSPOSED, orientation_of
from pipeline.images.raster import oriented
from pipeline.machine_limits import usable_cores
from pipeline.params.section import MAX_DECODED_PIXELS, SCALES
from pipeline.progress import Progress, Silent, task

BACKGROUND = "#ffffff"
"""Colour behind transparent parts, that of `resize.background`."""


PNG_EXIF = (b"eXIf", b"Raw profile type", b"XML:com.adobe.xmp")
"""Where Pillow finds the orientation of a PNG."""


@dataclass(frozen=True)
class FolderNames:
    """The folders of some pairs, and the params that name them, for messages."""

    hr: Path
    lr: Path | None
    hr_key: str
    lr_key: str = ""


@dataclass(frozen=True)
class ImageFile:
    """An image's file: its size as it is shown, and the SHA-256 of its bytes."""

    path: Path
    width: int
    height: int
    sha256: str


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
    hr = _read_folder(folders.hr, folders.hr_key, progress)
    if folders.lr is None:
        pairs = [_paired(name, file, None, scale) for name, file in hr.items()]
    else:
        lr = _read_folder(folders.lr, folders.lr_key, progress)
        pairs = list(_matched(folders, hr, lr, scale))
    _check_sizes(folders, pairs, scale)
    return pairs


def read_hr(pair: PairedFiles) -> NDArray[np.uint8]:
    """Decode HR and cut it to multiples of the scale: `(H, W, 3) uint8`.

    Raises `PipelineError` where the file is damaged, or another than it was when it was listed.
    """
    return _read(pair.hr)[: pair.height, : pair.width]


def read_lr(pair: PairedFiles) -> NDArray[np.uint8]:
    """Decode LR, which must be given: `(H/scale, W/scale, 3) uint8`. Raises like `read_hr`."""
    assert pair.lr is not None
    return _read(pair.lr)


def sha256_of_pairs(pairs: Sequence[PairedFiles]) -> str:
    """Return one SHA-256 for the names of all pairs and the bytes of their files."""
    digest = hashlib.sha256()
    for pair in pairs:
        lr = pair.lr.sha256 if pair.lr is not None else "-"
        digest.update(f"{pair.name}\0{pair.hr.sha256}\0{lr}\n".encode())
    return digest.hexdigest()


def _read_folder(folder: Path, key: str, progress: Progress) -> dict[str, ImageFile]:
    """Return name → image of all files below a folder, by name. Raises `UsageError`."""
    paths = _named_paths(folder, key)
    with (
        task(progress, f"read {folder}", len(paths), "files"),
        ThreadPoolExecutor(usable_cores()) as pool,
    ):
        files, problems = {}, []
        for done, (name, read) in enumerate(
            zip(paths, pool.map(_read_header, paths.values()), strict=True), start=1
        ):
            if isinstance(read, ImageFile):
                files[name] = read
            else:
                problems.append(f"{paths[name]}: {read}")
            progress.update(done)
    if problems:
        raise UsageError(
            f"{key}: no images to be read: {some_of(problems, most=5)}; remove them from the folder"
        )
    return files


def _named_paths(folder: Path, key: str) -> dict[str, Path]:
    """Return name → path of all files below a folder, in the order of the numbers in the names."""
    if not folder.is_dir():
        home = "; ~ is not expanded, write the whole path" if str(folder).startswith("~") else ""
        reason = "is a file" if folder.exists() else "no such folder"
        raise UsageError(f"{key}: {folder}: {reason}; name a folder that holds images{home}")
    named: dict[str, Path] = {}
    doubles = []
    for path in _files_below(folder, key):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if not _is_unicode(name) or not name.isprintable():
            raise UsageError(
                f"{key}: {folder}: {path.name!a} is no printable name in UTF-8; rename the file"
            )
        if name in named:
            doubles.append(f"{named[name]} and {path.name}")
        named[name] = path
    if doubles:
        raise UsageError(f"{key}: files of one name: {some_of(doubles)}; remove one of each two")
    if not named:
        raise UsageError(f"{key}: {folder}: holds no images; name a folder that does")
    return dict(sorted(named.items(), key=lambda item: _natural_key(item[0])))


def _files_below(folder: Path, key: str) -> Iterator[Path]:
    """Yield the files below a folder and the folders that it links to, but for hidden ones."""

    def refuse(error: OSError) -> NoReturn:
        raise PipelineError(f"{key}: {error.filename}: cannot be read: {error.strerror}") from None

    seen: set[tuple[int, int]] = set()
    for parent, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        status = Path(parent).stat()
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for path in (Path(parent, name) for name in sorted(names) if not name.startswith(".")):
            if not path.exists():
                raise UsageError(f"{key}: {path}: a link to nothing; remove it from the folder")
            if path.is_file():
                yield path


def _natural_key(name: str) -> list[tuple[int, str]]:
    """Return the key by which numbers in names are ordered as numbers: 9 before 10."""
    return [
        (int(part), "") if part.isascii() and part.isdecimal() else (-1, part)
        for part in re.split(r"([0-9]{1,18})", name)
    ]


def _is_unicode(name: str) -> bool:
    """Return whether a file's name can be written into tables; systems allow any bytes."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _read_header(path: Path) -> ImageFile | str:
    """Return an image's file, or what is wrong with it. Raises `PipelineError`."""
    try:
        data = path.read_bytes()
        with opened(data, MAX_DECODED_PIXELS) as image, decoding():
            if frame_count(image) > 1:
                return f"has {frame_count(image)} frames"
            width, height = _oriented_size(image, data)
    except ImageRefused as refused:
        return refused.text
    except OSError as error:
        raise PipelineError(f"{path}: cannot be read: {error.strerror or error}") from None
    return ImageFile(path, width, height, hashlib.sha256(data).hexdigest())


def _oriented_size(image: Image.Image, data: bytes) -> tuple[int, int]:
    """Return width and height after the EXIF orientation, decoding as little as possible.

    Pillow decodes a PNG to look for EXIF behind its pixels.
    """
    if image.format == "PNG" and not any(mark in data for mark in PNG_EXIF):
        return image.size
    if image.format == "TIFF":
        # Some versions of Pillow have turned its size already.
        return oriented(image).size
    return image.size[::-1] if orientation_of(image) in TRANSPOSED else image.size


def _read(file: ImageFile) -> NDArray[np.uint8]:
    try:
        data = file.path.read_bytes()
    except OSError as error:
        raise PipelineError(f"{file.path}: cannot be read: {error.strerror or error}") from None
    if hashlib.sha256(data).hexdigest() != file.sha256:
        raise PipelineError(
            f"{file.path}: changed since it was listed; put it back as it was, or begin anew with "
            "what it is now"
        )
    try:
        pixels = decode(data, MAX_DECODED_PIXELS, BACKGROUND).pixels
    except ImageRefused as refused:
        raise PipelineError(
            f"{file.path}: {refused.text}; replace it, or remove it from its folder"
        ) from None
    if pixels.shape[:2] != (file.height, file.width):
        raise PipelineError(
            f"{file.path}: has another size than its header says; save it anew as PNG"
        )
    return pixels


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
