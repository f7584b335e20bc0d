"""Uploads that must come at a least rate: while one comes, it keeps others from waiting."""

import io
import time

from werkzeug.exceptions import RequestTimeout

GRACE_SECONDS = 60
LEAST_BYTES_PER_SECOND = 5_000


class TimedInput:
    """A request's body, as Werkzeug reads it, which must come at the least rate.

    It has `GRACE_SECONDS` and what its bytes take at that rate; then reading raises
    `RequestTimeout`.
    """

    def __init__(self, stream: io.BufferedReader) -> None:
        self._stream = stream
        self._start = time.monotonic()
        self._received = 0

    def readinto(self, buffer: bytearray) -> int:
        """Fill the buffer as far as bytes have come, and return their number; 0: the end."""
        # One call of the system: more would wait until the buffer is full.
        count = self._stream.readinto1(buffer)
        self._received += count
        limit = GRACE_SECONDS + self._received / LEAST_BYTES_PER_SECOND
        if time.monotonic() - self._start > limit:
            least = LEAST_BYTES_PER_SECOND // 1000
            raise RequestTimeout(f"The upload is too slow: less than {least} kB per second.")
        return count
