"""Signals that stop a training between two steps rather than inside one."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Self

from pipeline.processes import handled_signals

# A user or an operator repeats these on purpose. A scheduler's notices come several at a time.
REPEATED = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Context manager that lets the first of `ENDING_SIGNALS` only set `stop`.

    With `at_once` a second SIGINT or SIGTERM raises `KeyboardInterrupt`. One of several processes
    must not do that, because it gets Ctrl-C from the terminal and again from the process that
    started it. A SIGHUP that is ignored, as under nohup, stays ignored. Threads other than the main
    one get no signals; there nothing changes.
    """

    def __init__(self, at_once: bool = True) -> None:
        self.stop = False
        self._at_once = at_once
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in handled_signals():
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.stop and self._at_once and number in REPEATED:
            raise KeyboardInterrupt
        self.stop = True
