"""Functions that run in threads, with their completions handled in the caller's thread."""

import queue
import threading
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.pool import AsyncResult, ThreadPool
from types import TracebackType
from typing import Self

_GRACE_SECONDS = 2.0


class BackgroundTasks:
    """A pool of `threads` threads; a context manager, on whose exit `stop` is set.

    A thread that a silent server blocks is left behind after a grace period: whatever it calls
    raises `Stopped` then.
    """

    def __init__(self, threads: int, stop: threading.Event) -> None:
        self._stop = stop
        # Unlike those of concurrent.futures, its threads do not keep the program from exiting.
        self._pool = ThreadPool(threads)
        self._results: list[AsyncResult[None]] = []
        self._completions: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        deadline = time.monotonic() + _GRACE_SECONDS
        for result in self._results:
            result.wait(max(0.0, deadline - time.monotonic()))
        self._pool.terminate()

    def start(
        self, work: Callable[[], None], on_done: Callable[[BaseException | None], None]
    ) -> None:
        """Run `work` in a thread; its error or None goes to `on_done` from `wait_for_one`."""

        def task() -> None:
            error: BaseException | None = None
            try:
                work()
            except BaseException as raised:
                error = raised
            self._completions.put(partial(on_done, error))

        self._results = [result for result in self._results if not result.ready()]
        self._results.append(self._pool.apply_async(task))

    def wait_for_one(self) -> None:
        """Block until a task has ended, and call its `on_done` in this thread."""
        self._completions.get()()
