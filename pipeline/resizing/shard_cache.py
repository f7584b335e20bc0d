"""Images of earlier runs, so that nothing is decoded twice: finished shards are kept, and linked.

DVC empties a stage's outputs before it runs the stage again. What a killed run had finished, and
what the last whole run made, therefore stays under hard links in a folder that DVC does not know.
"""

import hashlib
import json
import os
import shutil
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from pipeline.files import atomic_path
from pipeline.images.shards import read_bytes

ORIGINAL = "original_sha256"
WEBP = "webp_sha256"
# What tarfile, json and facts of other types raise.
_UNREADABLE = (
    tarfile.TarError,
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    RecursionError,
)


@dataclass(frozen=True)
class Place:
    """Where the bytes of an image's WebP lie, and what is known of the image."""

    shard: Path
    offset: int
    length: int
    facts: Mapping[str, object]


@dataclass(frozen=True)
class Webp:
    """The bytes of an image's WebP file and what is known of the image, whatever its post."""

    data: bytes
    facts: Mapping[str, object]


@dataclass(frozen=True)
class Found:
    """Images of earlier runs, by the sha256 of their originals."""

    places: Mapping[str, Sequence[Place]]

    def find(self, original_sha256: str) -> list[Webp]:
        """The images made from an original; none where that is to be done, or one is damaged."""
        images = []
        for place in self.places.get(original_sha256, ()):
            try:
                data = read_bytes(place.shard, place.offset, place.length)
            except OSError:
                return []
            if hashlib.sha256(data).hexdigest() != place.facts[WEBP]:
                return []
            images.append(Webp(data, place.facts))
        return images


class EarlierImages:
    """The images that runs with the same params have made.

    `folder` holds a folder for each `fingerprint` of what shapes an image's bytes.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self._all, self._folder = folder, folder / fingerprint
        self._folder.mkdir(parents=True, exist_ok=True)
        self._kept: set[Path] = set()
        self._places: dict[str, list[Place]] = {}
        for shard in sorted(self._folder.glob("*.tar")):
            self._places |= _scan(shard)

    def among(self, originals: Iterable[str]) -> Found:
        """Those of the originals with these sha256 sums."""
        return Found({name: self._places[name] for name in originals if name in self._places})

    def keep(self, shard: Path, lines: Iterable[Mapping[str, object]]) -> None:
        """Remember a finished shard, of which `lines` tell, beyond its folder's end."""
        kept = self._folder / f"{_checksum(lines)}.tar"
        self._kept.add(kept)
        # Also where there is one of that name: it may be damaged, and `shard` was just written.
        with atomic_path(kept) as temporary:
            temporary.unlink()
            try:
                os.link(shard, temporary)
            except OSError:
                # Another file system, or one that has no hard links.
                shutil.copyfile(shard, temporary)

    def forget_others(self) -> None:
        """Drop all but what was kept by this run: it is whole."""
        for other in self._all.iterdir():
            if other != self._folder and other.is_dir():
                shutil.rmtree(other)
        for shard in set(self._folder.iterdir()) - self._kept:
            shard.unlink()


def _checksum(lines: Iterable[Mapping[str, object]]) -> str:
    """Return the name of a kept shard: a hash of all that the index says of its images.

    So a shard's facts can be checked, and runs that are killed again and again fill no disk.
    """
    facts = [{key: line[key] for key in line if key != "shard"} for line in lines]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _scan(shard: Path) -> dict[str, list[Place]]:
    """The images of a shard by the sha256 of their originals; none where its facts changed."""
    places: dict[str, list[Place]] = {}
    try:
        with tarfile.open(shard, "r:") as tar:
            images = list(_images(shard, tar))
        lines = [
            {**image.facts, "offset": image.offset, "length": image.length} for image in images
        ]
        if shard.stem != _checksum(lines):
            return {}
        for _, group in groupby(images, key=lambda place: place.facts["id"]):
            of_one = list(group)
            places[str(of_one[0].facts[ORIGINAL])] = of_one
    except _UNREADABLE:
        return {}
    return places


def _images(shard: Path, tar: tarfile.TarFile) -> Iterator[Place]:
    members = iter(tar)
    for image, text in zip(members, members, strict=True):
        file = tar.extractfile(text)
        facts = json.load(file) if file is not None else {}
        yield Place(shard, image.offset_data, image.size, facts)
