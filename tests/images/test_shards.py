"""Shards: what was written is read, by tarfile as by offset, and damage is named."""

import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pipeline.errors import PipelineError
from pipeline.images.shards import Member, encode_webp, read_image, read_images
from tests.images.originals import write_shard

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 20, 24, 3), np.uint8)


@dataclass(frozen=True)
class Place:
    shard: str
    offset: int
    length: int
    sha256: str = ""


def located(pixels: Sequence[NDArray[np.uint8]], offsets: list[tuple[int, int]]) -> list[Place]:
    digests = [hashlib.sha256(image.tobytes()).hexdigest() for image in pixels]
    return [
        Place("s.tar", *offset, digest) for offset, digest in zip(offsets, digests, strict=True)
    ]


def members() -> list[Member]:
    return [
        Member(f"{id:09d}", encode_webp(pixels), {"id": id, "what": "é"})
        for id, pixels in enumerate(PIXELS, 7)
    ]


@pytest.fixture
def places(tmp_path: Path) -> list[Place]:
    return located(PIXELS, write_shard(tmp_path / "s.tar", members()))


def test_offsets_read_the_very_pixels(tmp_path: Path, places: list[Place]) -> None:
    assert np.array_equal(read_image(tmp_path, places[3]), PIXELS[3])
    chosen = [places[4], places[0], places[4]]
    for workers in (0, 1, 2):
        assert np.array_equal(read_images(tmp_path, chosen, workers), PIXELS[[4, 0, 4]])
    assert len(read_images(tmp_path, [])) == 0


def test_tarfile_reads_pairs_of_members(tmp_path: Path, places: list[Place]) -> None:
    with tarfile.open(tmp_path / "s.tar") as shard:
        entries = shard.getmembers()
        assert [entry.name for entry in entries[:3]] == [
            "000000007.webp",
            "000000007.json",
            "000000008.webp",
        ]
        assert [(entry.offset_data, entry.size) for entry in entries[::2]] == [
            (place.offset, place.length) for place in places
        ]
        assert {(entry.mode, entry.mtime, entry.uid, entry.uname) for entry in entries} == {
            (0o644, 0, 0, "")
        }
        facts = shard.extractfile(entries[1])
        image = shard.extractfile(entries[0])
        assert facts is not None
        assert image is not None
        assert json.load(facts) == {"id": 7, "what": "é"}
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(image.read()))), PIXELS[0])


def test_the_same_members_give_the_same_bytes(tmp_path: Path, places: list[Place]) -> None:
    write_shard(tmp_path / "again.tar", members())
    assert (tmp_path / "again.tar").read_bytes() == (tmp_path / "s.tar").read_bytes()


def test_a_writer_that_fails_leaves_the_old_shard(tmp_path: Path, places: list[Place]) -> None:
    before = (tmp_path / "s.tar").read_bytes()
    with pytest.raises(AttributeError):
        write_shard(tmp_path / "s.tar", [*members(), None])  # type: ignore[list-item]
    assert (tmp_path / "s.tar").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["s.tar"]


def test_a_missing_or_damaged_shard_is_named(tmp_path: Path, places: list[Place]) -> None:
    with pytest.raises(PipelineError, match=r"gone\.tar: cannot be read"):
        read_images(tmp_path, [places[0], Place("gone.tar", 0, 1)])
    with (tmp_path / "s.tar").open("r+b") as shard:
        shard.truncate(places[2].offset + places[2].length // 2)
    for place in places[2:]:
        with pytest.raises(PipelineError, match=rf"s\.tar: no whole image at byte {place.offset}"):
            read_image(tmp_path, place)
    assert np.array_equal(read_image(tmp_path, places[1]), PIXELS[1])


def test_other_pixels_than_those_that_are_known_are_refused(
    tmp_path: Path, places: list[Place]
) -> None:
    """A changed byte of a lossless WebP still decodes, and so do another image's offsets."""
    wrong = "has other pixels than its sha256 says"
    with pytest.raises(PipelineError, match=f"image at byte {places[1].offset} {wrong}"):
        read_image(tmp_path, replace(places[1], sha256=places[0].sha256))
    with pytest.raises(PipelineError, match=wrong):
        read_images(tmp_path, [places[0], replace(places[1], sha256=places[2].sha256)])


def test_images_of_two_sizes_are_no_array(tmp_path: Path) -> None:
    black = np.zeros((8, 8, 3), np.uint8)
    offsets = write_shard(tmp_path / "s.tar", [members()[0], Member("2", encode_webp(black), {})])
    places = located([PIXELS[0], black], offsets)
    with pytest.raises(PipelineError, match="another size"):
        read_images(tmp_path, places)
