"""What each method costs: the parameters of its network, and its measured seconds."""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

from pipeline.networks import Generator


@dataclass(frozen=True)
class Cost:
    """The cost of a method; None where it has no network, or is another program's result."""

    parameters: int | None = None
    seconds: float | None = None
    """per megapixel of the result, one picture at a time"""


class Timings:
    """The seconds that each method took for each picture, per megapixel of its result."""

    def __init__(self) -> None:
        self._seconds: dict[str, list[float]] = defaultdict(list)

    @contextmanager
    def measure(self, method: str, pixels: int) -> Iterator[None]:
        """Count the seconds of the block as those of one result of so many pixels by `method`."""
        started = time.perf_counter()
        yield
        self._seconds[method].append((time.perf_counter() - started) / (pixels / 1e6))

    def medians(self) -> dict[str, float]:
        """Return method → seconds per megapixel.

        Of the pictures the median, because a device's first one waits for its kernels.
        """
        return {method: median(seconds) for method, seconds in self._seconds.items()}


def costs_of(
    names: Iterable[str],
    models: Mapping[str, Generator],
    timings: Timings,
) -> dict[str, Cost]:
    """Return method → its cost."""
    medians = timings.medians()
    return {
        name: Cost(
            models[name].parameter_count if name in models else None,
            medians.get(name),
        )
        for name in names
    }
