"""Frames that are made when their turn comes."""

from collections.abc import Iterator

from pipeline.upscaling.frames import LazyFrames, changed


def counted(made: list[int]) -> LazyFrames[int]:
    def make() -> Iterator[int]:
        for number in range(3):
            made.append(number)
            yield number

    return LazyFrames(3, make)


def test_each_frame_is_made_when_it_is_its_turn() -> None:
    made: list[int] = []
    frames = counted(made)
    assert (len(frames), made) == (3, [])
    assert (frames[0], frames[0], made) == (0, 0, [0])
    iterator = iter(frames)
    assert (next(iterator), next(iterator), made) == (0, 1, [0, 1])
    assert (list(iterator), made) == ([2], [0, 1, 2])
    assert list(frames) == [0, 1, 2], "again"
    assert frames[2] == 2


def test_changes_wait_too() -> None:
    made: list[int] = []
    frames = changed(counted(made), lambda number: number * 10)
    assert made == []
    assert list(frames) == [0, 10, 20]
    assert changed((7,), str) == ("7",)
