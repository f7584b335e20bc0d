"""Of two pictures that are one, the better stays; the groups of all of them become one."""

from dataclasses import dataclass, replace

import pytest

from pipeline.manifest.duplicates import Duplicates, find_duplicates

BASE = 0x0F0F_3C3C_5555_AAAA
FAR = ~BASE & (2**64 - 1)


@dataclass(frozen=True)
class Picture:
    id: int
    hash: int
    sha256: str = ""
    original_width: int = 10
    original_height: int = 10
    tile: int = 0
    mirrored: int | None = None

    @property
    def key(self) -> tuple[int, int]:
        return self.id, self.tile

    @property
    def phash(self) -> str:
        return f"{self.hash:016x}"

    @property
    def phash_mirrored(self) -> str | None:
        return None if self.mirrored is None else f"{self.mirrored:016x}"


def find(
    *pictures: Picture, distance: int | None = 4, groups: list[int] | None = None
) -> Duplicates:
    named = [replace(picture, sha256=picture.sha256 or str(picture.key)) for picture in pictures]
    return find_duplicates(named, groups or [picture.id for picture in pictures], distance)


def test_the_larger_original_stays_then_the_lower_id() -> None:
    found = find(
        Picture(1, BASE, "x"), Picture(2, BASE, "x", 11), Picture(3, FAR, "y"), Picture(4, FAR, "y")
    )
    assert found.exact == {(1, 0), (4, 0)}
    assert not found.near
    assert found.groups == {(1, 0): 1, (2, 0): 1, (3, 0): 3, (4, 0): 3}


@pytest.mark.parametrize(("bits", "near"), [(3, True), (4, True), (5, False)])
def test_near_is_within_the_distance(bits: int, near: bool) -> None:
    found = find(Picture(1, BASE), Picture(2, BASE ^ (2**bits - 1)), Picture(3, FAR))
    assert found.near == ({(2, 0)} if near else set())
    assert found.groups[2, 0] == (1 if near else 2)
    assert found.groups[3, 0] == 3


@pytest.mark.parametrize(("bits", "near"), [(0, True), (4, True), (5, False)])
def test_mirror_images_are_near(bits: int, near: bool) -> None:
    first = Picture(1, BASE, mirrored=FAR ^ (2**bits - 1))
    found = find(first, Picture(2, FAR, mirrored=BASE), Picture(3, 0xFFFF, mirrored=0xFFFF))
    assert found.near == ({(2, 0)} if near else set())
    assert found.groups[2, 0] == (1 if near else 2)


def test_flat_mirror_images_are_not_one_picture() -> None:
    found = find(Picture(1, BASE, mirrored=2**63), Picture(2, 0xFF, mirrored=2**63), distance=8)
    assert not found.near


def test_no_distance_means_equal_pixels_only() -> None:
    found = find(Picture(1, BASE), Picture(2, BASE), distance=None)
    assert not found.exact | found.near


def test_one_that_goes_takes_nobody_with_it_but_links_them() -> None:
    chain = [BASE, BASE ^ 0b111, BASE ^ 0b111111]
    found = find(*(Picture(id, hash) for id, hash in enumerate(chain, 1)))
    assert found.near == {(2, 0)}
    assert found.groups == {(1, 0): 1, (2, 0): 1, (3, 0): 1}


def test_flat_pictures_are_not_one_picture() -> None:
    found = find(Picture(1, 2**63), Picture(2, 2**63), Picture(3, 0), Picture(4, 0))
    assert not found.exact | found.near
    assert find(Picture(1, 0, "x"), Picture(2, 0, "x")).exact == {(2, 0)}


def test_whole_groups_are_joined_under_the_lowest() -> None:
    pictures = [Picture(1, BASE), Picture(2, FAR), Picture(3, BASE), Picture(4, FAR ^ 0xFFFF)]
    found = find(*pictures, groups=[9, 5, 5, 9])
    assert found.near == {(3, 0)}
    assert found.groups == {(1, 0): 5, (2, 0): 5, (3, 0): 5, (4, 0): 5}


def test_images_of_one_post_are_told_apart() -> None:
    found = find(
        Picture(1, BASE, tile=0), Picture(1, FAR, tile=1), Picture(1, BASE, tile=2), Picture(2, FAR)
    )
    assert found.near == {(1, 2), (2, 0)}
    assert set(found.groups.values()) == {1}
