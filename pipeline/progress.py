"""How long work tells what it is doing, without knowing who listens."""

from typing import Protocol


class Progress(Protocol):
    """A listener to one piece of long work; a notebook may pass its own."""

    def start(self, label: str, total: int | None, unit: str) -> None:
        """Work named `label` begins: `total` units of it, or None when nobody knows."""

    def update(self, done: int, **figures: object) -> None:
        """`done` units are ready in all; `figures` (losses, counts) are shown beside them."""

    def message(self, text: str) -> None:
        """Something worth a line of its own happened."""

    def finish(self) -> None:
        """The work has ended, well or not."""


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
