"""Frames of animations, decoded or computed when their turn comes, so that few are in memory."""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import Any, TypeVar

F = TypeVar("F")
G = TypeVar("G")


class LazyFrames(Sequence[F]):
    """Frames that are made anew each time they are iterated over. The first one stays in memory.

    `make` returns an iterator of `count` frames.
    """

    def __init__(self, count: int, make: Callable[[], Iterator[F]]) -> None:
        self._count, self._make = count, make
        self._begun: Iterator[F] | None = None

    @cached_property
    def _first(self) -> F:
        self._begun = self._make()
        return next(self._begun)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[F]:
        yield self._first
        # What is dear to make, as an enlargement, goes on after the first frame.
        begun, self._begun = self._begun, None
        yield from islice(self._make(), 1, None) if begun is None else begun

    def __getitem__(self, index: Any) -> Any:
        return self._first if index == 0 else next(islice(self, index, None))


def changed(frames: Sequence[F], change: Callable[[F], G]) -> Sequence[G]:
    """Return frames, each changed: a single one at once, others when it is their turn."""
    if len(frames) == 1:
        return (change(frames[0]),)
    return LazyFrames(len(frames), lambda: map(change, frames))
