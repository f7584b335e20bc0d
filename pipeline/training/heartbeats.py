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

    def beat() -> None:
        # Without room for the file the process is not watched.
        with suppress(OSError):
            file.touch()

    beat()
    try:
        with _repeated(beat, seconds):
            yield
    finally:
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
    reported: set[Path] = set()

    def watch() -> None:
        silent = {path for path in folder.glob(pattern) if _age(path) > silent_seconds}
        for path in sorted(silent - reported):
            report(path)
        reported.clear()
        reported.update(silent)

    with _repeated(watch, silent_seconds / 10):
        yield


@contextmanager
def _repeated(act: Callable[[], None], seconds: float) -> Iterator[None]:
    """Call `act` every so many `seconds` while the block runs, in a thread."""
    ended = threading.Event()

    def repeat() -> None:
        while not ended.wait(seconds):
            act()

    thread = threading.Thread(target=repeat, daemon=True)
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
