"""Processes that end when they should: workers with their parent, stages with DVC."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Mapping
from contextlib import suppress

import psutil

PARENT_VARIABLE = "PIPELINE_PARENT"
"""Environment variable with the id of one more process, beside DVC, that stages end with."""

_POLL_SECONDS = 1.0
_SHELLS = {"ash", "bash", "busybox", "dash", "fish", "ksh", "sh", "zsh"}


def start_worker() -> None:
    """Initialise a worker: leave signals to the parent, and end when the parent is killed."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def stop_with_parent() -> None:
    """Send this worker SIGTERM when its parent is gone, so that it can save its work."""
    threading.Thread(target=_stop_with_parent, daemon=True).start()


def stop_with_dvc(environment: Mapping[str, str]) -> None:
    """Send this process SIGTERM when DVC runs it as a stage and is gone.

    DVC leaves its stage running when anything but Ctrl-C ends it, and the next `dvc repro` would
    start another beside it. Outside DVC nothing happens: background jobs outlive their shell.
    """
    if not environment.get("DVC_STAGE"):
        return
    named = environment.get(PARENT_VARIABLE)
    threading.Thread(target=_stop_with_any, args=(_starters(), named), daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _stop_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _starters() -> list[psutil.Process]:
    """Return the parent and, while that is a shell which DVC may have started, its own."""
    starters: list[psutil.Process] = []
    with suppress(psutil.Error):
        process = psutil.Process().parent()
        while process is not None:
            starters.append(process)
            process = process.parent() if process.name() in _SHELLS else None
    return starters


def _stop_with_any(watched: list[psutil.Process], named: str | None) -> None:
    """Wait until one of `watched`, or the process with the id `named`, is gone."""
    with suppress(psutil.NoSuchProcess):
        if named is not None:
            watched = [*watched, psutil.Process(int(named))]
        while all(_lives(process) for process in watched):
            time.sleep(_POLL_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)


def _lives(process: psutil.Process) -> bool:
    # A process that was killed stays in the table until its own parent asks for it.
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
