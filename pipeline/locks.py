"""Locks between processes: death releases them, and a refusal names the process that holds one."""

import errno
import json
import logging
import socket
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from pipeline.errors import PipelineError
from pipeline.files import write_text

_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}
_RECORD_SECONDS = 1.0
_POLL_SECONDS = 0.05

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Owner:
    """Process that holds a lock; `created` is when it began, `since` when it took the lock."""

    pid: int
    created: float
    host: str
    command: str
    since: float

    @classmethod
    def of_this_process(cls, command: str) -> "Owner":
        """Return the record of this process, which now takes a lock for `command`."""
        process = psutil.Process()
        created = process.create_time()
        return cls(process.pid, created, socket.gethostname(), command, time.time())

    @property
    def is_here(self) -> bool:
        """Whether the process is, or was, on this machine."""
        return self.host == socket.gethostname()

    @property
    def may_live(self) -> bool:
        """Whether the process lives; another machine's processes cannot be seen and may."""
        if not self.is_here:
            return True
        try:
            return abs(psutil.Process(self.pid).create_time() - self.created) < 1
        except psutil.Error:
            return False


def lock_file(folder: Path, name: str) -> Path:
    """Return the lock of what is called `name` and writes into `folder`."""
    return folder / ".locks" / f"{name}.lock"


@contextmanager
def hold(path: Path, command: str) -> Iterator[None]:
    """Hold the lock file `path` for `command`, such as `pipeline train`, while the block runs.

    Raises `PipelineError` at once, naming the other process, where one holds it, and where `path`
    cannot be written. Where the file system has no locks it warns and goes on without.
    """
    lock = FileLock(path, timeout=0)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings(action="ignore"):
            lock.acquire()
    except Timeout:
        raise PipelineError(_refusal(path, command)) from None
    except (OSError, NotImplementedError) as error:
        reason = _reason(error)
        if reason is None:
            raise PipelineError(f"{path}: cannot be locked: {error}") from None
        _log.warning("%s: %s; do not start a second run beside this one", path, reason)
        yield
        return
    try:
        # Whoever is refused can do without the record; a full disk must not end the work here.
        with suppress(OSError):
            write_text(_record(path), json.dumps(asdict(Owner.of_this_process(command))) + "\n")
        yield
    finally:
        with suppress(OSError):
            _record(path).unlink(missing_ok=True)
        lock.release()


def is_held(path: Path) -> bool:
    """Whether a process holds the lock file `path`, as far as the file system tells."""
    if not path.is_file():
        return False
    lock = FileLock(path, timeout=0)
    try:
        with warnings.catch_warnings(action="ignore"), lock:
            return False
    except Timeout:
        return True
    except (OSError, NotImplementedError):
        owner = read_owner(path)
        return owner is not None and owner.may_live


def read_owner(path: Path) -> Owner | None:
    """Return what the last process that took the lock file `path` wrote about itself."""
    try:
        return Owner(**json.loads(_record(path).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _record(path: Path) -> Path:
    """Return the file about a lock's owner: taking a lock may empty the lock file itself."""
    return path.with_name(f"{path.name}.json")


def _reason(error: OSError | NotImplementedError) -> str | None:
    """Return why the file system has no locks; None where the fault is another."""
    if isinstance(error, OSError) and error.errno not in _NO_LOCKS:
        return None
    return f"its file system cannot lock files ({error})"


def _refusal(path: Path, command: str) -> str:
    owner = _living_owner(path)
    if owner is None:
        return f"{path}: {command} is running already; wait for its end, or stop it"
    running = f"{path}: {owner.command} is running already (process {owner.pid}"
    since = _clock(owner.since)
    if not owner.is_here:
        return f"{running} on {owner.host}, since {since}); wait for its end, or stop it there"
    return f"{running}, since {since}); wait for its end, or stop it: kill {owner.pid}"


def _living_owner(path: Path) -> Owner | None:
    """Return the owner's record; the owner writes it a moment after it has taken the lock."""
    deadline = time.monotonic() + _RECORD_SECONDS
    while True:
        owner = read_owner(path)
        if owner is not None and owner.may_live:
            return owner
        if time.monotonic() >= deadline:
            return None
        time.sleep(_POLL_SECONDS)


def _clock(moment: float) -> str:
    """Return a moment of today as its time, another one with its date."""
    then = datetime.fromtimestamp(moment).astimezone()
    today = datetime.now().astimezone().date()
    return f"{then:%H:%M}" if then.date() == today else f"{then:%Y-%m-%d %H:%M}"
