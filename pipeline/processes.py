"""Processes that end when they should: workers with their parent, stages with DVC."""

import multiprocessing
import os
import select
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker

import psutil

PARENT_VARIABLE = "PIPELINE_PARENT"
"""Environment variable with the id of one more process, beside DVC, that stages end with."""

_FOR_PARENT = (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
_POLL_SECONDS = 1.0
_SHELLS = {"ash", "bash", "busybox", "dash", "fish", "ksh", "sh", "zsh"}


def new_pool(workers: int, initialise: Callable[[], object]) -> ProcessPoolExecutor:
    """Return a pool of fresh processes; `initialise` is to call `start_worker`."""
    context = multiprocessing.get_context("spawn")
    with signals_for_parent():
        return ProcessPoolExecutor(workers, mp_context=context, initializer=initialise)


@contextmanager
def signals_for_parent() -> Iterator[None]:
    """Keep from processes that are started inside what a terminal or scheduler sends to them all.

    This process is the one that heeds those signals: what comes meanwhile, it gets afterwards.
    Python's tracker of semaphores is started, too: ended by a signal, it would print tracebacks.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _FOR_PARENT)
    try:
        resource_tracker.ensure_running()
        # Starting the tracker has unblocked Ctrl-C.
        signal.pthread_sigmask(signal.SIG_BLOCK, _FOR_PARENT)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def start_worker() -> None:
    """Initialise a worker: leave signals to the parent, and end when the parent is killed."""
    for number in _FOR_PARENT:
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def stop_with_dvc(environment: Mapping[str, str]) -> None:
    """Send this process SIGTERM when DVC runs it as a stage and is gone.

    DVC leaves its stage running when anything but Ctrl-C ends it, and the next `dvc repro` would
    start another beside it. Outside DVC nothing happens: background jobs outlive their shell.
    To be called from the main thread, after the handlers of signals are set.
    """
    if not environment.get("DVC_STAGE"):
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    arguments = (_starters(), environment.get(PARENT_VARIABLE), reader)
    threading.Thread(target=_stop_with_any, args=arguments, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _starters() -> list[psutil.Process]:
    """Return the parent and, while that is a shell which DVC may have started, its own."""
    starters: list[psutil.Process] = []
    with suppress(psutil.Error):
        process = psutil.Process().parent()
        while process is not None:
            starters.append(process)
            process = process.parent() if process.name() in _SHELLS else None
    return starters


def _stop_with_any(watched: list[psutil.Process], named: str | None, signals: int) -> None:
    """Wait until one of `watched`, or the process with the id `named`, is gone.

    What comes from `signals`, a byte for each signal, ends the wait: this process stops already,
    and one more SIGTERM would keep it from saving its work.
    """
    with suppress(psutil.NoSuchProcess):
        if named is not None:
            watched = [*watched, psutil.Process(int(named))]
        while all(_lives(process) for process in watched):
            if select.select([signals], [], [], _POLL_SECONDS)[0]:
                return
    if not select.select([signals], [], [], 0)[0]:
        os.kill(os.getpid(), signal.SIGTERM)


def _lives(process: psutil.Process) -> bool:
    # A process that was killed stays in the table until its own parent asks for it.
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
