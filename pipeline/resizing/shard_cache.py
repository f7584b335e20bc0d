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

from pydantic import TypeAdapter

from pipeline.files import atomic_path
from pipeline.images.records import IMAGE_RECORD, ImageFacts, ImageRecord
from pipeline.images.shards import read_webp

_JSON_OBJECT = TypeAdapter(dict[str, object])
# What tarfile and pydantic raise for a shard that is damaged or none.
_UNREADABLE = (tarfile.TarError, OSError, ValueError, LookupError, OverflowError)


@dataclass(frozen=True)
class CachedImage:
    """An image in a cached shard, at the place that its record names."""

    shard: Path
    record: ImageRecord


@dataclass(frozen=True)
class EncodedImage:
    """The bytes of an image's WebP file, and what is known of the image."""

    webp: bytes
    facts: ImageFacts


@dataclass(frozen=True)
class CacheSubset:
    """The cached images of some originals, by the originals' sha256."""

    images: Mapping[str, Sequence[CachedImage]]

    def read(self, original_sha256: str) -> list[EncodedImage]:
        """Return an original's images, or an empty list if one is not cached or is damaged."""
        images = []
        for cached in self.images.get(original_sha256, ()):
            try:
                webp = read_webp(cached.shard, cached.record.offset, cached.record.length)
            except OSError:
                return []
            if hashlib.sha256(webp).hexdigest() != cached.record.webp_sha256:
                return []
            images.append(EncodedImage(webp, cached.record.facts))
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

    def subset(self, sha256s: Iterable[str]) -> CacheSubset:
        """Return the cached images of the originals with these sha256 sums."""
        return CacheSubset({name: self._images[name] for name in sha256s if name in self._images})

    def add(self, shard: Path, images: Iterable[ImageRecord]) -> None:
        """Link a finished shard of these images into the cache."""
        path = self._folder / f"{_cached_name(images)}.tar"
        self._added.add(path)
        # Also where there is one of that name: it may be damaged, and `shard` was just written.
        path.unlink(missing_ok=True)
        try:
            os.link(shard, path)
        except OSError:
            # Another file system, or one that has no hard links.
            with atomic_path(path) as temporary:
                shutil.copyfile(shard, temporary)

    def prune(self) -> None:
        """Remove all but the shards that were added: the run is complete."""
        for other in self.folder.iterdir():
            if other != self._folder and other.is_dir():
                shutil.rmtree(other)
        for shard in set(self._folder.iterdir()) - self._added:
            shard.unlink()


def _cached_name(images: Iterable[ImageRecord]) -> str:
    """Return the name of a cached shard: a hash of the index's records of its images.

    So the records in it can be checked, and runs that are killed again and again fill no disk.
    """
    records = [{key: value for key, value in vars(i).items() if key != "shard"} for i in images]
    return hashlib.sha256(json.dumps(records, sort_keys=True).encode()).hexdigest()


def _scan(shard: Path) -> dict[str, list[CachedImage]]:
    """Return a shard's images by the sha256 of their originals; none if a record was changed."""
    try:
        with tarfile.open(shard, "r:") as tar:
            records = list(_read_records(shard, tar))
    except _UNREADABLE:
        return {}
    if shard.stem != _cached_name(records):
        return {}
    posts = [list(group) for _, group in groupby(records, key=lambda record: record.id)]
    return {
        images[0].original_sha256: [CachedImage(shard, record) for record in images]
        for images in posts
    }


def _read_records(shard: Path, tar: tarfile.TarFile) -> Iterator[ImageRecord]:
    """Yield the records of a shard's images. Raises `ValueError` where one is none."""
    members = iter(tar)
    for image, text in zip(members, members, strict=True):
        file = tar.extractfile(text)
        known = _JSON_OBJECT.validate_json(file.read() if file else b"")
        place = {"shard": shard.name, "offset": image.offset_data, "length": image.size}
        yield IMAGE_RECORD.validate_python(known | place)
