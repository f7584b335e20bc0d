"""Rate limiter for requests from several threads."""

import threading
import time

from pipeline.scraping.fetch_errors import Stopped


class RateLimiter:
    """Rate limiter: requests start at least `interval` seconds apart. Thread-safe."""

    def __init__(self, interval: float, stop: threading.Event) -> None:
        self.interval, self._stop = interval, stop
        self._lock = threading.Lock()
        self._free_at = 0.0

    def wait(self) -> None:
        """Block until the next request may start. Raises `Stopped`."""
        while not self._stop.is_set():
            with self._lock:
                now = time.monotonic()
                delay = self._free_at - now
                if delay <= 0:
                    self._free_at = now + self.interval
                    return
            self._stop.wait(delay)
        raise Stopped

    def hold(self, seconds: float) -> None:
        """Start no request within the next `seconds`."""
        with self._lock:
            self._free_at = max(self._free_at, time.monotonic() + seconds)

    def slow_down_to(self, interval: float) -> None:
        """Raise the interval to `interval` seconds, if it is shorter."""
        with self._lock:
            self.interval = max(self.interval, interval)
