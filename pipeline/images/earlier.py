"""Images of earlier runs, so that nothing is decoded twice: finished shards are kept, and linked.

DVC empties a stage's outputs before it runs the stage again. What a killed run had finished, and
what the last whole run made, therefore stays under hard links in a folder that DVC does not know.
"""

import hashlib
import json
import os
import shutil
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.files import atomic_path
from pipeline.images.shards import Member

ORIGINAL = "original_sha256"


@dataclass(frozen=True)
class Place:
    """Where the bytes of an image's WebP lie, and what is known of the image."""

    shard: Path
    offset: int
    length: int
    facts: Mapping[str, object]


@dataclass(frozen=True)
class Found:
    """Images of earlier runs, by the sha256 of their originals."""

    places: Mapping[str, Place]

    def find(self, original_sha256: str, id: int) -> Member | None:
        """The image made from an original, for the post `id`; None if there is none yet."""
        place = self.places.get(original_sha256)
        if place is None:
            return None
        try:
            with place.shard.open("rb") as file:
                file.seek(place.offset)
                webp = file.read(place.length)
        except OSError:
            return None
        if len(webp) != place.length:
            return None
        return Member(id, webp, {**place.facts, "id": id})


class EarlierImages:
    """The images that runs with the same params have made.

    `folder` holds a folder for each `fingerprint` of what shapes an image's bytes.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self._all, self._folder = folder, folder / fingerprint
        self._folder.mkdir(parents=True, exist_ok=True)
        self._kept: set[Path] = set()
        self._places: dict[str, Place] = {}
        for shard in sorted(self._folder.glob("*.tar")):
            self._places |= dict(_scan(shard))

    def among(self, originals: Iterable[str]) -> Found:
        """Those of the originals with these sha256 sums."""
        return Found({name: self._places[name] for name in originals if name in self._places})

    def keep(self, shard: Path, lines: Iterable[Mapping[str, object]]) -> None:
        """Remember a finished shard, of which `lines` tell, beyond its folder's end."""
        # Named by what it holds, so that runs that are killed again and again fill no disk.
        name = hashlib.sha256(json.dumps(list(lines), sort_keys=True).encode()).hexdigest()
        kept = self._folder / f"{name}.tar"
        self._kept.add(kept)
        if kept.exists():
            return
        try:
            os.link(shard, kept)
        except OSError:
            # Another file system, or one that has no hard links.
            with atomic_path(kept) as temporary:
                shutil.copyfile(shard, temporary)

    def forget_others(self) -> None:
        """Drop all but what was kept by this run: it is whole."""
        for other in self._all.iterdir():
            if other != self._folder:
                shutil.rmtree(other)
        for shard in set(self._folder.iterdir()) - self._kept:
            shard.unlink()


def _scan(shard: Path) -> Iterator[tuple[str, Place]]:
    """The images of a shard; none from where it is damaged on."""
    try:
        with tarfile.open(shard, "r:") as tar:
            image = None
            for member in tar:
                if member.name.endswith(".webp"):
                    image = member
                    continue
                file = tar.extractfile(member)
                facts = json.load(file) if file is not None else {}
                if image is not None and isinstance(facts.get(ORIGINAL), str):
                    place = Place(shard, image.offset_data, image.size, facts)
                    yield facts[ORIGINAL], place
    except (tarfile.TarError, OSError, ValueError, AttributeError):
        return
