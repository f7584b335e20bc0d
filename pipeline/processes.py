"""End workers with their parent and stages with DVC, and handle the signals for that."""

import multiprocessing
import os
import select
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from types import FrameType

import psutil

PARENT_VARIABLE = "PIPELINE_PARENT"
"""Environment variable with the id of a further process, beside DVC, that stages end with."""

# SIGHUP: the terminal is gone. SIGUSR1 and SIGUSR2: a scheduler's notice that it will stop the job.
# Windows has none of them.
NOTICES = tuple(
    signal.Signals[name] for name in ("SIGHUP", "SIGUSR1", "SIGUSR2") if hasattr(signal, name)
)
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, *NOTICES)
"""Ctrl-C, `kill`, and the notices."""

_FOR_PARENT = (signal.SIGINT, *NOTICES)
_POLL_SECONDS = 1.0
_IMPORT_SECONDS = 0.05
_SHELLS = {"ash", "bash", "busybox", "csh", "dash", "fish", "ksh", "nu", "sh", "tcsh", "zsh"}


def handled_signals() -> list[signal.Signals]:
    """Return the `ENDING_SIGNALS` that are to end this process: all, but under `nohup` not SIGHUP.

    SIGINT is one of them even where it is ignored, as in a background job of a shell.
    """
    return [number for number in ENDING_SIGNALS if not _is_nohup(number)]


def interrupt_on_signals() -> None:
    """Let all of `ENDING_SIGNALS` raise `KeyboardInterrupt` in this process, as Ctrl-C does.

    While a module is imported it waits for the import to end.
    """
    for number in handled_signals():
        signal.signal(number, _interrupt)


def ignore_signals() -> None:
    """Ignore `ENDING_SIGNALS`: the process ends already, and its exit code is settled."""
    if hasattr(signal, "pthread_sigmask"):
        with suppress(KeyboardInterrupt):
            signal.pthread_sigmask(signal.SIG_BLOCK, ENDING_SIGNALS)
    for number in ENDING_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _is_nohup(number: signal.Signals) -> bool:
    return number.name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN


def _interrupt(number: int, frame: FrameType | None) -> None:
    if _is_importing(frame):
        # An exception there may be lost, or end the process in C++ code that is initialised.
        timer = threading.Timer(_IMPORT_SECONDS, os.kill, (os.getpid(), number))
        timer.daemon = True
        timer.start()
        return
    # Such signals come several at a time, and a second one would interrupt the cleanup: only
    # Ctrl-C may. Not SIG_IGN: Python reports a signal that came before that was set.
    for further in handled_signals():
        if further != signal.SIGINT:
            signal.signal(further, _ignore)
    raise KeyboardInterrupt


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib."):
            return True
        frame = frame.f_back
    return False


def _ignore(number: int, frame: FrameType | None) -> None:
    pass


def new_pool(workers: int, initialise: Callable[[], object]) -> ProcessPoolExecutor:
    """Return a pool of spawned processes; `initialise` must call `start_worker`."""
    context = multiprocessing.get_context("spawn")
    with signals_for_parent():
        return ProcessPoolExecutor(workers, mp_context=context, initializer=initialise)


@contextmanager
def signals_for_parent() -> Iterator[None]:
    """Block Ctrl-C and the notices in processes that are started inside the block.

    A terminal or a scheduler sends these signals to all processes of a job, but only this one
    handles them; it receives those that are sent during the block after it. Also starts Python's
    resource tracker, which would print tracebacks when a signal ended it.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _FOR_PARENT)
    try:
        resource_tracker.ensure_running()
        # Starting the tracker has unblocked Ctrl-C.
        signal.pthread_sigmask(signal.SIG_BLOCK, _FOR_PARENT)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def start_resource_tracker() -> None:
    """Start Python's resource tracker, out of reach of the signals that end this process."""
    with signals_for_parent():
        pass


def start_worker() -> None:
    """Initialise a worker: leave signals to the parent, and end when the parent is killed."""
    for number in _FOR_PARENT:
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def stop_with_dvc(environment: Mapping[str, str]) -> None:
    """Send this process SIGTERM when DVC runs it as a stage and is gone.

    DVC leaves its stage running when anything but Ctrl-C ends it, and the next `dvc repro` would
    start a second one. Does nothing outside DVC: background jobs outlive their shell. To be called
    from the main thread, after the signal handlers are set.
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
    """Return the parent and, as long as that is a shell that DVC may have started, its parent."""
    starters: list[psutil.Process] = []
    with suppress(psutil.Error):
        process = psutil.Process().parent()
        while process is not None:
            starters.append(process)
            process = process.parent() if process.name() in _SHELLS else None
    return starters


def _stop_with_any(watched: list[psutil.Process], named: str | None, signals: int) -> None:
    """Send this process SIGTERM once one of `watched`, or the process with the id `named`, ended.

    The pipe `signals` gets one byte per signal that this process receives, which ends the wait: the
    process stops already, and a further SIGTERM would keep it from saving its work.
    """
    with suppress(psutil.NoSuchProcess):
        if named is not None and named.isdecimal():
            watched = [*watched, psutil.Process(int(named))]
        while all(_lives(process) for process in watched):
            if select.select([signals], [], [], _POLL_SECONDS)[0]:
                return
    if not select.select([signals], [], [], 0)[0]:
        os.kill(os.getpid(), signal.SIGTERM)


def _lives(process: psutil.Process) -> bool:
    try:
        # A process that was killed stays in the table until its own parent asks for it.
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.AccessDenied:
        return True
