"""Pictures that appear in a folder, as soon as they are whole."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pipeline.upscaling.plan import Job

LOOK_SECONDS = 1.0
"""Time between two looks at a folder: a file that did not change meanwhile counts as whole."""

_Stamp = tuple[int, int, int]
"""Inode, size and time of change of a file."""


class Arrivals:
    """Sorts out the files that were not yet taken as they are, and did not change since a look."""

    def __init__(self) -> None:
        self._seen: dict[Path, _Stamp] = {}
        self._taken: dict[Path, _Stamp] = {}

    def whole(self, jobs: Sequence[Job]) -> list[Job]:
        """Return the jobs whose pictures are as they were at the last call; each version once."""
        stamps = {}
        for job in jobs:
            with suppress(OSError):
                status = job.source.stat()
                stamps[job.source] = (status.st_ino, status.st_size, status.st_mtime_ns)
        unchanged = [job for job in jobs if self._is_whole(job.source, stamps)]
        self._taken |= {job.source: stamps[job.source] for job in unchanged}
        self._seen = stamps
        return unchanged

    def _is_whole(self, source: Path, stamps: dict[Path, _Stamp]) -> bool:
        stamp = stamps.get(source)
        return stamp is not None and stamp == self._seen.get(source) != self._taken.get(source)
