"""Batches that are made in threads while the steps before them are taken."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from pipeline.machine_limits import usable_cores

T = TypeVar("T")


class Prefetcher(Generic[T]):
    """Make the batches of the steps before `end` in threads, some steps ahead.

    `make` returns the batch of a step; each of `workers` threads (0: one per core) makes one at a
    time.
    """

    def __init__(self, make: Callable[[int], T], end: int, workers: int = 0) -> None:
        self._make, self._end = make, end
        self._workers = workers or usable_cores()
        self._pool = ThreadPoolExecutor(self._workers)
        self._ahead: dict[int, Future[T]] = {}

    def __call__(self, step: int) -> T:
        """Return the batch of a step, and begin those after it. Raises what `make` raises."""
        for later in range(step, min(step + 2 * self._workers, self._end)):
            if later not in self._ahead:
                self._ahead[later] = self._pool.submit(self._make, later)
        return self._ahead.pop(step).result()

    def close(self) -> None:
        """Cancel the batches that no thread has begun."""
        self._pool.shutdown(cancel_futures=True)
