"""Protocol by which long work reports its progress."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """Receiver of the progress of one task at a time; a notebook may pass its own."""

    def start(self, label: str, total: int | None, unit: str) -> None:
        """Begin a task named `label` of `total` units (None: unknown), each called `unit`."""

    def update(self, done: int, **figures: object) -> None:
        """Show that `done` units of the task are done in all; `figures` are losses, counts, ..."""

    def message(self, text: str) -> None:
        """Show a line of text."""

    def finish(self) -> None:
        """End the task, successfully or not."""


class Silent:
    """A `Progress` that shows nothing: the default of every library function."""

    def start(self, label: str, total: int | None, unit: str) -> None:
        pass

    def update(self, done: int, **figures: object) -> None:
        pass

    def message(self, text: str) -> None:
        pass

    def finish(self) -> None:
        pass


@contextmanager
def task(progress: Progress, label: str, total: int | None, unit: str) -> Iterator[None]:
    """Start a task of `progress`, and finish it at the end of the block, whatever ends that."""
    progress.start(label, total, unit)
    try:
        yield
    finally:
        progress.finish()
