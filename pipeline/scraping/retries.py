"""Repeat requests that may succeed later, after pauses that grow."""

import threading
from collections.abc import Callable
from typing import TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    wait_exponential,
    wait_random,
)

from pipeline.scraping.fetch_errors import TransientError, UnreachableError

_MAX_BACKOFF = 60.0
_MIN_BACKOFF = 0.1
# A program that is silent for longer seems to hang.
_MAX_SILENCE = 5.0

T = TypeVar("T")


class Retries:
    """Repeats calls at most `count` times, the first after about `pause` seconds.

    Each further pause is twice as long. `hold` makes all requests wait so many seconds, where a
    site limits their rate. `log` gets a message where the user waits. Thread-safe.
    """

    def __init__(
        self,
        count: int,
        pause: float,
        stop: threading.Event,
        hold: Callable[[float], None],
        log: Callable[[str], None],
    ) -> None:
        pause = max(_MIN_BACKOFF, pause)
        self._count, self._stop, self._hold, self._log = count, stop, hold, log
        self._backoff = wait_exponential(pause, _MAX_BACKOFF) + wait_random(0, pause)

    def call(self, call: Callable[[], T], is_hopeless: Callable[[TransientError], bool]) -> T:
        """Call `call` until it raises no `TransientError`, and return its result.

        Raises the last one when the retries are used up or `is_hopeless` says so, and any other
        error at once.
        """

        def is_last(state: RetryCallState) -> bool:
            return state.attempt_number > self._count or is_hopeless(_last_error(state))

        retrying = Retrying(
            stop=is_last,
            wait=self._delay,
            retry=retry_if_exception_type(TransientError),
            before_sleep=self._before_sleep,
            sleep=sleep_using_event(self._stop),
            reraise=True,
        )
        return retrying(call)

    def _delay(self, state: RetryCallState) -> float:
        return max(self._backoff(state), _last_error(state).wait)

    def _before_sleep(self, state: RetryCallState) -> None:
        error = _last_error(state)
        seconds = state.next_action.sleep if state.next_action else 0.0
        if error.pause_all:
            self._hold(seconds)
        silence = (state.seconds_since_start or 0.0) + seconds
        if error.pause_all or isinstance(error, UnreachableError) or silence > _MAX_SILENCE:
            self._log(f"{error}; next try in {seconds:.0f} s")


def _last_error(state: RetryCallState) -> TransientError:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, TransientError)
    return error
