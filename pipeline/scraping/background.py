"""Functions that run in threads, with their completions handled in the caller's thread."""

import queue
import threading
import time
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Self

_GRACE_SECONDS = 2.0

_Task = Callable[[], object]


class BackgroundTasks:
    """`threads` threads, and one more for large tasks; a context manager, whose exit sets `stop`.

    A thread that a silent server blocks is left behind after a grace period: whatever it calls
    raises `Stopped` then.
    """

    def __init__(self, threads: int, stop: threading.Event) -> None:
        self._stop = stop
        self._small: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._large: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._completions: queue.SimpleQueue[_Task] = queue.SimpleQueue()
        self._queues = [self._small] * threads + [self._large]
        # Unlike those of concurrent.futures, daemons do not keep the program from exiting.
        self._threads = [
            threading.Thread(target=_run_tasks, args=(tasks,), daemon=True)
            for tasks in self._queues
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        for tasks in self._queues:
            tasks.put(None)
        deadline = time.monotonic() + _GRACE_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def start(
        self,
        work: _Task,
        on_done: Callable[[BaseException | None], None],
        *,
        is_large: bool = False,
    ) -> None:
        """Run `work` in a thread; its error or None goes to `on_done` from `wait_for_one`.

        Tasks that take much memory are `is_large`: the allocator keeps memory for each thread.
        """

        def task() -> None:
            error: BaseException | None = None
            try:
                work()
            except BaseException as raised:
                error = raised
            self._completions.put(partial(on_done, error))

        (self._large if is_large else self._small).put(task)

    def wait_for_one(self) -> None:
        """Block until a task has ended, and call its `on_done` in this thread."""
        self._completions.get()()


def _run_tasks(tasks: "queue.SimpleQueue[_Task | None]") -> None:
    """Run tasks until None comes."""
    while (task := tasks.get()) is not None:
        task()
        # It would keep what it refers to while this thread waits.
        del task
