"""Signs of life of processes that train together, each a file whose time is renewed."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

BEAT_SECONDS = 5.0
SILENT_SECONDS = 60.0
"""A process that gave no sign for so long is reported: it is stopped, or waits for memory."""


@contextmanager
def beating(file: Path, seconds: float = BEAT_SECONDS) -> Iterator[None]:
    """Renew the time of `file` while the block runs, in a thread.

    The thread lives while the process computes or waits for others, and not where it is stopped.
    """
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(seconds):
            # Without room for the file the process is not watched.
            with suppress(OSError):
                file.touch()

    with suppress(OSError):
        file.touch()
    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        file.unlink(missing_ok=True)


@contextmanager
def watched(
    folder: Path,
    pattern: str,
    report: Callable[[Path], None],
    silent_seconds: float = SILENT_SECONDS,
) -> Iterator[None]:
    """Call `report` once for each file in `folder` that is not renewed for `silent_seconds`.

    It is called again for one that gave signs of life between two silences.
    """
    ended = threading.Event()

    def watch() -> None:
        reported: set[Path] = set()
        while not ended.wait(silent_seconds / 10):
            silent = {path for path in folder.glob(pattern) if _age(path) > silent_seconds}
            for path in sorted(silent - reported):
                report(path)
            reported = silent

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _age(file: Path) -> float:
    """Return the seconds since a file was renewed; 0 for one that has gone since it was listed."""
    try:
        return time.time() - file.stat().st_mtime
    except FileNotFoundError:
        return 0.0
