"""Locks between processes, released when their owner ends; errors name the owner."""

import errno
import json
import logging
import socket
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import psutil
from filelock import BaseFileLock, FileLock, Timeout

from pipeline.errors import PipelineError
from pipeline.files import path_problem, write_text

_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}
_RECORD_SECONDS = 1.0
_POLL_SECONDS = 0.05

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Owner:
    """Process that holds a lock; it started at `created` and took the lock at `since`.

    Both are Unix seconds. `namespace` identifies the PID namespace, that of a container or machine.
    """

    pid: int
    created: float
    host: str
    command: str
    since: float
    namespace: str = ""

    @classmethod
    def of_this_process(cls, command: str) -> "Owner":
        """Return the record of this process, which takes a lock for `command` now."""
        process = psutil.Process()
        created = process.create_time()
        host, now = socket.gethostname(), time.time()
        return cls(process.pid, created, host, command, now, _pid_namespace())

    @property
    def is_here(self) -> bool:
        """Whether the process belongs to this machine and this container."""
        return (self.host, self.namespace) == (socket.gethostname(), _pid_namespace())

    @property
    def may_live(self) -> bool:
        """Whether the process may be running; unknown, so true, for another machine's processes."""
        if not self.is_here:
            return True
        try:
            return abs(psutil.Process(self.pid).create_time() - self.created) < 1
        except psutil.Error:
            return False


def _pid_namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def lock_file(folder: Path, name: str) -> Path:
    """Return the path of the lock named `name` for `folder`."""
    return folder / ".locks" / f"{name}.lock"


@contextmanager
def hold(
    path: Path, command: str, waiting: Callable[[str], object] | None = None
) -> Iterator[None]:
    """Hold the lock file `path` for `command`, such as `pipeline train`, while the block runs.

    Where another process holds it, raises `PipelineError` that names the process; with `waiting`,
    calls that with the message and waits instead. Raises `PipelineError` too where `path` cannot be
    written. Where the file system has no locks, logs a warning and relies on the owner's record.
    """
    lock = FileLock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _acquire(lock, path, waiting)
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno not in _NO_LOCKS:
            if (problem := path_problem(path)) is not None:
                raise PipelineError(problem) from None
            raise PipelineError(
                f"{path}: cannot be locked: {getattr(error, 'strerror', None) or error}; "
                "the project's folders must be writable"
            ) from None
        if (owner := living_owner(path)) is not None:
            advice = "" if owner.is_here else f"; if it is gone, remove {record_file(path)}"
            raise PipelineError(f"{_refusal(path)}{advice}") from None
        _log.warning(
            "%s: its file system cannot lock files (%s); do not start two runs in one moment",
            path,
            error,
        )
    try:
        # The record only improves messages; a full disk must not end the work here.
        with suppress(OSError):
            write_text(record_file(path), json.dumps(asdict(Owner.of_this_process(command))) + "\n")
        yield
    finally:
        with suppress(OSError):
            record_file(path).unlink(missing_ok=True)
        lock.release()


def _acquire(lock: BaseFileLock, path: Path, waiting: Callable[[str], object] | None) -> None:
    # filelock warns, in its own terms, where `flock` is missing.
    with warnings.catch_warnings(action="ignore"):
        try:
            lock.acquire(timeout=0)
        except Timeout:
            refusal = _refusal(path)
            if waiting is None:
                raise PipelineError(refusal) from None
            waiting(refusal)
            lock.acquire(timeout=-1)


def living_owner(path: Path) -> Owner | None:
    """Return the recorded owner of the lock file `path`, if it may be running."""
    try:
        owner = Owner(**json.loads(record_file(path).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return owner if owner.may_live else None


def record_file(path: Path) -> Path:
    """Return the file with a lock's owner: taking a lock may empty the lock file itself."""
    return path.with_name(f"{path.name}.json")


def _refusal(path: Path) -> str:
    owner = _announced_owner(path)
    if owner is None:
        return f"{path}: another process holds it; wait for its end, or stop it"
    running = f"{path}: {owner.command} is running already (process {owner.pid}"
    since = _clock(owner.since)
    if not owner.is_here:
        return f"{running} on {owner.host}, since {since}); wait for its end, or stop it there"
    return f"{running}, since {since}); wait for its end, or stop it: kill {owner.pid}"


def _announced_owner(path: Path) -> Owner | None:
    """Return the owner; wait for its record, written shortly after it took the lock."""
    deadline = time.monotonic() + _RECORD_SECONDS
    while (owner := living_owner(path)) is None and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    return owner


def _clock(moment: float) -> str:
    """Format a time of today as HH:MM, another with its date."""
    then = datetime.fromtimestamp(moment).astimezone()
    today = datetime.now().astimezone().date()
    return f"{then:%H:%M}" if then.date() == today else f"{then:%Y-%m-%d %H:%M}"
