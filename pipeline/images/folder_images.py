"""Images in a folder of one's own: what they are, and their pixels."""

import hashlib
import os
import re
from collections.abc import Iterator
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
from pipeline.params.section import MAX_DECODED_PIXELS
from pipeline.progress import Progress, task

_BACKGROUND = "#ffffff"
"""Colour behind transparent parts, that of `resize.background`."""


_PNG_EXIF = (b"eXIf", b"Raw profile type", b"XML:com.adobe.xmp")
"""Where Pillow finds the orientation of a PNG."""


@dataclass(frozen=True)
class ImageFile:
    """An image's file: its size as it is shown, and the SHA-256 of its bytes."""

    path: Path
    width: int
    height: int
    sha256: str


def read_folder(folder: Path, key: str, progress: Progress) -> dict[str, ImageFile]:
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


def read_image(file: ImageFile) -> NDArray[np.uint8]:
    """Decode an image: `(H, W, 3) uint8`.

    Raises `PipelineError` where the file is damaged, or another than it was when it was listed.
    """
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
        pixels = decode(data, MAX_DECODED_PIXELS, _BACKGROUND).pixels
    except ImageRefused as refused:
        raise PipelineError(
            f"{file.path}: {refused.text}; replace it, or remove it from its folder"
        ) from None
    if pixels.shape[:2] != (file.height, file.width):
        raise PipelineError(
            f"{file.path}: has another size than its header says; save it anew as PNG"
        )
    return pixels


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
    if image.format == "PNG" and not any(mark in data for mark in _PNG_EXIF):
        return image.size
    if image.format == "TIFF":
        # Some versions of Pillow have turned its size already.
        return oriented(image).size
    return image.size[::-1] if orientation_of(image) in TRANSPOSED else image.size
