"""Cache of resized images, so that no original is decoded twice.

DVC empties a stage's outputs before it runs the stage again. The shards that a killed run had
finished, and those of the last complete run, therefore stay as hard links in a folder that DVC does
not track.
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

ORIGINAL_SHA256 = "original_sha256"
WEBP_SHA256 = "webp_sha256"
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
class CachedImage:
    """Location of an image's WebP file in a cached shard, and the index's facts about the image."""

    shard: Path
    offset: int
    length: int
    facts: Mapping[str, object]


@dataclass(frozen=True)
class EncodedImage:
    """The bytes of an image's WebP file, and the index's facts that do not depend on its post."""

    webp: bytes
    facts: Mapping[str, object]


@dataclass(frozen=True)
class CacheSubset:
    """The cached images of some originals, by the originals' sha256."""

    images: Mapping[str, Sequence[CachedImage]]

    def read(self, original_sha256: str) -> list[EncodedImage]:
        """Return an original's images; none if they are not cached or one is damaged."""
        images = []
        for cached in self.images.get(original_sha256, ()):
            try:
                webp = read_bytes(cached.shard, cached.offset, cached.length)
            except OSError:
                return []
            if hashlib.sha256(webp).hexdigest() != cached.facts[WEBP_SHA256]:
                return []
            images.append(EncodedImage(webp, cached.facts))
        return images


class ShardCache:
    """The shards that runs with the same params, code and libraries have written.

    `folder` has one subfolder per `fingerprint` of what determines an image's bytes.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self.folder, self._folder = folder, folder / fingerprint
        self._folder.mkdir(parents=True, exist_ok=True)
        self._added: set[Path] = set()
        self._images: dict[str, list[CachedImage]] = {}
        for shard in sorted(self._folder.glob("*.tar")):
            self._images |= _scan(shard)

    def subset(self, originals: Iterable[str]) -> CacheSubset:
        """Return the cached images of the originals with these sha256 sums."""
        return CacheSubset({name: self._images[name] for name in originals if name in self._images})

    def add(self, shard: Path, lines: Iterable[Mapping[str, object]]) -> None:
        """Link a finished shard into the cache; `lines` are its lines of the index."""
        path = self._folder / f"{_checksum(lines)}.tar"
        self._added.add(path)
        # Also where there is one of that name: it may be damaged, and `shard` was just written.
        with atomic_path(path) as temporary:
            temporary.unlink()
            try:
                os.link(shard, temporary)
            except OSError:
                # Another file system, or one that has no hard links.
                shutil.copyfile(shard, temporary)

    def prune(self) -> None:
        """Remove all but the shards that were added: the run is complete."""
        for other in self.folder.iterdir():
            if other != self._folder and other.is_dir():
                shutil.rmtree(other)
        for shard in set(self._folder.iterdir()) - self._added:
            shard.unlink()


def _checksum(lines: Iterable[Mapping[str, object]]) -> str:
    """Return the name of a cached shard: a hash of the index's facts about its images.

    So a shard's facts can be checked, and runs that are killed again and again fill no disk.
    """
    facts = [{key: line[key] for key in line if key != "shard"} for line in lines]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _scan(shard: Path) -> dict[str, list[CachedImage]]:
    """Return a shard's images by the sha256 of their originals; none if its facts were changed."""
    by_original: dict[str, list[CachedImage]] = {}
    try:
        with tarfile.open(shard, "r:") as tar:
            images = list(_members(shard, tar))
        lines = [
            {**image.facts, "offset": image.offset, "length": image.length} for image in images
        ]
        if shard.stem != _checksum(lines):
            return {}
        for _, group in groupby(images, key=lambda image: image.facts["id"]):
            of_one_post = list(group)
            by_original[str(of_one_post[0].facts[ORIGINAL_SHA256])] = of_one_post
    except _UNREADABLE:
        return {}
    return by_original


def _members(shard: Path, tar: tarfile.TarFile) -> Iterator[CachedImage]:
    members = iter(tar)
    for image, text in zip(members, members, strict=True):
        file = tar.extractfile(text)
        facts = json.load(file) if file is not None else {}
        yield CachedImage(shard, image.offset_data, image.size, facts)
