"""What loggers of a training get, and how each is called."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class LogLine:
    """Losses or validation figures after `step` steps."""

    step: int
    figures: Mapping[str, float]
    status: Mapping[str, float]
    """learning rate, speed, memory and time left; empty where they are not known"""
    time: str
    """UTC as in ISO 8601; empty where it is not known"""

    @property
    def values(self) -> dict[str, float]:
        """Figures, and the others below `status/`."""
        return {
            **self.figures,
            **{f"status/{name}": value for name, value in self.status.items()},
        }


class Logger(Protocol):
    """Another program's log of a training."""

    def start(self, folder: Path, lines: Sequence[LogLine]) -> None:
        """Begin the log of the run in `folder`, whose earlier part is `lines`."""

    def log(self, line: LogLine) -> None:
        """Append a line."""

    def samples(self, step: int, pixels: "np.ndarray") -> None:
        """Show validation details, `(H, W, 3) uint8`."""

    def close(self, failed: bool) -> None:
        """Write all to the end, whether or not the training has ended."""
