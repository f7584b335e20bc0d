"""Images that are read when they are used, of which small ones stay in memory."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar, overload

KEPT_BYTES = 3 * 2**20
"""Of an image that stays in memory once it is read: one megapixel."""


class _Pixels(Protocol):
    """A tensor or an array."""

    @property
    def nbytes(self) -> int: ...


Image = TypeVar("Image", bound=_Pixels)


class ImagesOnDemand(Sequence[Image]):
    """Images by number, each read by `read` when it is used; the larger ones each time anew."""

    def __init__(
        self, count: int, read: Callable[[int], Image], kept_bytes: int | None = None
    ) -> None:
        """`kept_bytes`: of the largest image that stays in memory, by default `KEPT_BYTES`."""
        self._count, self._read = count, read
        self._kept_bytes = KEPT_BYTES if kept_bytes is None else kept_bytes
        self._kept: dict[int, Image] = {}

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Image: ...
    @overload
    def __getitem__(self, index: slice) -> list[Image]: ...
    def __getitem__(self, index: int | slice) -> Image | list[Image]:
        if isinstance(index, slice):
            return [self[one] for one in range(self._count)[index]]
        number = range(self._count)[index]
        if number in self._kept:
            return self._kept[number]
        image = self._read(number)
        if image.nbytes <= self._kept_bytes:
            self._kept[number] = image
        return image
