"""Pictures that appear in a folder, as soon as they are whole."""

import time
from collections.abc import Sequence
from pathlib import Path

from pipeline.upscaling.plan import Job

LOOK_SECONDS = 1.0
"""Time between two looks at a folder: a file that did not change meanwhile counts as whole."""
RETRY_SECONDS = 30.0
"""Time until a picture is tried again that the machine failed: it may be computed anew for it."""

_Stamp = tuple[int, int, int]
"""Inode, size and time of change of a file."""


class Arrivals:
    """Sorts out the files that are to be enlarged: whole, and not done as they are."""

    def __init__(self) -> None:
        self._seen: dict[Path, _Stamp] = {}
        self._done: dict[Path, _Stamp] = {}
        self._failed: dict[Path, tuple[_Stamp, float]] = {}
        """with the time until which they wait"""
        self._results: dict[Path, _Stamp] = {}

    def whole(self, jobs: Sequence[Job]) -> list[Job]:
        """Return the jobs whose pictures are as they were at the last call, and are to be done."""
        stamps = {job.source: stamp for job in jobs if (stamp := _stamp(job.source)) is not None}
        whole = [job for job in jobs if self._is_due(job.source, stamps.get(job.source))]
        self._seen = stamps
        return whole

    def _is_due(self, source: Path, stamp: _Stamp | None) -> bool:
        if stamp is None or stamp != self._seen.get(source) or stamp == self._done.get(source):
            return False
        failed, waits_until = self._failed.get(source, (None, 0.0))
        return stamp != failed or time.monotonic() >= waits_until

    def finish(self, job: Job) -> None:
        """Take a picture, as it was at the last look, as done."""
        self._done[job.source] = self._seen[job.source]
        self._failed.pop(job.source, None)

    def finish_with_result(self, job: Job) -> None:
        """Take a picture as done, and what is at its target as its result."""
        self.finish(job)
        if (stamp := _stamp(job.target)) is not None:
            self._results[job.target] = stamp

    def may_replace(self, job: Job) -> bool:
        """Return whether what is at a job's target is the result of an earlier one, unchanged."""
        return job.target in self._results and self._results[job.target] == _stamp(job.target)

    def retry(self, job: Job) -> bool:
        """Let a picture wait for another try; return whether this is its first failure."""
        stamp = self._seen[job.source]
        is_first = self._failed.get(job.source, (None, 0.0))[0] != stamp
        self._failed[job.source] = stamp, time.monotonic() + RETRY_SECONDS
        return is_first


def _stamp(path: Path) -> _Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
