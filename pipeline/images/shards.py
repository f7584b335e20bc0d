"""Read and write lossless images in uncompressed tar shards (WebDataset's layout), by offset."""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.errors import PipelineError
from pipeline.files import atomic_path
from pipeline.machine_limits import usable_cores


class Located(Protocol):
    """Anything with the location of an image's bytes and a hash of its pixels."""

    @property
    def shard(self) -> str:
        """Return the file name of the shard."""

    @property
    def offset(self) -> int:
        """Return the first byte of the image in the shard."""

    @property
    def length(self) -> int:
        """Return the number of the image's bytes."""

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of the decoded pixels, `(H, W, 3) uint8`."""


@dataclass(frozen=True)
class Member:
    """One image for a shard: its name, its WebP file and the facts for its JSON file."""

    name: str
    webp: bytes
    facts: Mapping[str, object]


def shard_name(number: int) -> str:
    """Return the file name of the shard with this number, from 0."""
    return f"shard-{number:06d}.tar"


@contextmanager
def shard_writer(path: Path) -> Iterator[Callable[[Member], int]]:
    """Yield a function that adds an image to a new shard and returns its WebP file's offset.

    The shard is written atomically. The same members give the same bytes.
    """
    with (
        atomic_path(path) as temporary,
        tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as shard,
    ):
        yield partial(_add_member, shard)


def pixels_sha256(pixels: NDArray[np.uint8]) -> str:
    """Return the SHA-256 of an image's pixels, row by row, in hex."""
    return hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest()


def encode_webp(pixels: NDArray[np.uint8]) -> bytes:
    """Encode an `(H, W, 3) uint8` image as lossless WebP, at the fastest setting."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", lossless=True, method=0, quality=0)
    return file.getvalue()


def read_webp(path: Path, offset: int, length: int) -> bytes:
    """Read an image's WebP file from a shard: fewer bytes than `length` at the shard's end."""
    with path.open("rb") as shard:
        shard.seek(offset)
        return shard.read(length)


def read_image(folder: Path, entry: Located) -> NDArray[np.uint8]:
    """Decode one image of the shards in `folder`: `(H, W, 3) uint8`, RGB.

    Raises `PipelineError` that names the shard where it is missing or damaged, or where the pixels
    are not those of `entry.sha256`: WebP has no checksum, and offsets may be those of another set.
    """
    path = folder / entry.shard
    try:
        data = read_webp(path, entry.offset, entry.length)
    except OSError as error:
        raise PipelineError(
            f"{path}: cannot be read ({error.strerror}); run pipeline resize again"
        ) from None
    try:
        with Image.open(io.BytesIO(data), formats=("WEBP",)) as image:
            pixels = np.array(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise PipelineError(
            f"{path}: no whole image at byte {entry.offset}; "
            "remove the file and run pipeline resize and pipeline manifest again"
        ) from None
    if pixels_sha256(pixels) != entry.sha256:
        raise PipelineError(
            f"{path}: the image at byte {entry.offset} has other pixels than its sha256 says; "
            "remove the file and run pipeline resize and pipeline manifest again"
        )
    return pixels


def read_images(folder: Path, entries: Sequence[Located], workers: int = 0) -> NDArray[np.uint8]:
    """Decode images of one size in `workers` threads (0: one per core): `(N, H, W, 3) uint8`.

    Raises `PipelineError` like `read_image`, or where an image has another size than the first.
    """
    if not entries:
        return np.empty((0, 0, 0, 3), np.uint8)
    first = read_image(folder, entries[0])
    images = np.empty((len(entries), *first.shape), np.uint8)
    images[0] = first

    def read(index: int) -> None:
        image = read_image(folder, entries[index])
        if image.shape != first.shape:
            raise PipelineError(
                f"{folder / entries[index].shard}: the image at byte {entries[index].offset} has "
                "another size than the others; run pipeline resize and pipeline manifest again"
            )
        images[index] = image

    with ThreadPoolExecutor(workers or usable_cores()) as pool:
        for _ in pool.map(read, range(1, len(entries))):
            pass
    return images


def _add_member(shard: tarfile.TarFile, member: Member) -> int:
    text = json.dumps(dict(member.facts), sort_keys=True) + "\n"
    offset = _add_file(shard, f"{member.name}.webp", member.webp)
    _add_file(shard, f"{member.name}.json", text.encode())
    return offset


def _add_file(shard: tarfile.TarFile, name: str, data: bytes) -> int:
    """Add a file to a shard and return the offset of its first byte."""
    # USTAR's header of a short name is one block.
    start = int(shard.offset) + tarfile.BLOCKSIZE
    # TarInfo's defaults are the same on every machine: mode 0644, owner 0, time 0.
    header = tarfile.TarInfo(name)
    header.size = len(data)
    shard.addfile(header, io.BytesIO(data))
    return start
