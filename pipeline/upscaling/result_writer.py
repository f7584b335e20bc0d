"""Results written to files and pipes, side by side with what is computed meanwhile."""

import os
import shutil
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from pipeline.errors import MachineFaultError, PipelineError, ReaderEndedError
from pipeline.files import atomic_path
from pipeline.images.folders import path_text
from pipeline.machine_errors import fault_text, is_memory_fault
from pipeline.machine_limits import available_memory, usable_cores
from pipeline.upscaling.encoding import encoded_parts
from pipeline.upscaling.metadata import NO_METADATA
from pipeline.upscaling.pictures import Picture
from pipeline.upscaling.plan import PIPE, Job, Writing
from pipeline.upscaling.reading import ReadFile

MADE_MEANWHILE = "exists, made meanwhile; left out, --overwrite replaces it"
WAITING_SHARE = 8
"""The part of free memory, one by this number, that results take until they are written."""
QUEUED_PER_THREAD = 2
"""Results for each thread, so that none waits for one that is reported before its own."""
PIPED_BYTES_IN_MEMORY = 2**26


@dataclass(frozen=True)
class Result:
    """An enlarged picture; `passes`: how often the generator was applied."""

    job: Job
    source: ReadFile
    picture: Picture
    passes: int


@dataclass(frozen=True)
class _Waiting:
    """A result of so many pixels that is being written."""

    job: Job
    pixels: int
    written: Future[Result]
    on_end: Callable[[], None]


class ResultWriter:
    """Writes results in threads: of small ones as many as there are cores, one that is large.

    Frames of an animation are computed while it is written, so the thread that calls writes it.
    Results are reported in their order, by that thread.
    """

    def __init__(self, writing: Writing, on_written: Callable[[Result], None]) -> None:
        self.failures: dict[Job, PipelineError] = {}
        self.notes: dict[str, list[str]] = {}
        """files by what is to be said of them"""
        self.writing, self._on_written = writing, on_written
        self._threads = usable_cores()
        self._pool = ThreadPoolExecutor(self._threads)
        # Each is there twice, as pixels and as what the encoder makes of them.
        self._most_pixels = available_memory() // (WAITING_SHARE * 2 * 4)
        self._waiting: deque[_Waiting] = deque()

    def __enter__(self) -> "ResultWriter":
        return self

    def __exit__(self, error_type: type[BaseException] | None, *_: object) -> None:
        if error_type is not None:
            # After Ctrl-C nobody waits for what was not begun.
            for one in self._waiting:
                one.written.cancel()
        with self._pool:
            self._finish_all()

    def submit(self, result: Result) -> None:
        """Write a result as soon as a thread and memory are free; reports what is written."""
        if result.picture.animated:
            self._finish_all()
            self._report(result.job, partial(self._write, result))
        else:
            start = partial(self._pool.submit, self._write, result)
            self._submit(result.job, result.picture.pixel_count, start, lambda: None)

    def submit_making(
        self,
        job: Job,
        pixels: int,
        make: Callable[[], Result],
        threads: Executor,
        on_end: Callable[[], None],
    ) -> None:
        """Make a result of so many pixels in one of `threads`, and write it there.

        `on_end` is called once it is reported, or has failed.
        """
        self._submit(job, pixels, lambda: threads.submit(lambda: self._write(make())), on_end)

    def _submit(
        self,
        job: Job,
        pixels: int,
        start: Callable[[], Future[Result]],
        on_end: Callable[[], None],
    ) -> None:
        while self._waiting and (self._waiting[0].written.done() or not self._has_room(pixels)):
            self._finish_first()
        self._waiting.append(_Waiting(job, pixels, start(), on_end))

    def note(self, text: str, path: Path) -> None:
        """Say of a file at the end that it is left out, or what of it."""
        self.notes.setdefault(text, []).append(path_text(path))

    def _has_room(self, pixels: int) -> bool:
        waiting = sum(one.pixels for one in self._waiting)
        most = QUEUED_PER_THREAD * self._threads
        return len(self._waiting) < most and waiting + pixels <= self._most_pixels

    def _finish_all(self) -> None:
        while self._waiting:
            self._finish_first()

    def _finish_first(self) -> None:
        first = self._waiting[0]
        # Ctrl-C leaves it among those that wait.
        wait([first.written])
        self._waiting.popleft()
        if not first.written.cancelled():
            self._report(first.job, first.written.result)
            first.on_end()

    def _report(self, job: Job, write: Callable[[], Result]) -> None:
        try:
            result = write()
        except PipelineError as error:
            self.failures[job] = error
        except FileExistsError:
            self.note(MADE_MEANWHILE, job.target)
        else:
            for notice in result.source.picture.notices:
                self.note(notice, job.source)
            self._on_written(result)

    def _write(self, result: Result) -> Result:
        times_ns = result.source.times_ns if self.writing.keep_time else None
        write_parts(result.job.target, self._parts(result), times_ns, self.writing.overwrite)
        return result

    def _parts(self, result: Result) -> Iterator[bytes]:
        encoding, picture = self.writing.encoding, result.picture
        if encoding.strip_metadata:
            picture = replace(picture, metadata=NO_METADATA)
        with naming(result.job.target):
            yield from encoded_parts(picture, encoding.format, encoding.quality)


def write_parts(
    path: Path,
    parts: Iterable[bytes],
    times_ns: tuple[int, int] | None = None,
    overwrite: bool = True,
) -> None:
    """Write a file atomically, or to standard output once all of it is there.

    Raises `MachineFaultError` that names it, and without `overwrite` `FileExistsError` where the
    file exists.
    """
    try:
        if path == PIPE:
            _write_to_pipe(parts)
            return
        with atomic_path(path, overwrite) as temporary:
            with temporary.open("wb") as file:
                file.writelines(parts)
            if times_ns is not None:
                os.utime(temporary, ns=times_ns)
    except OSError as error:
        if error.errno is None or (
            not overwrite and isinstance(error, FileExistsError) and os.path.lexists(path)
        ):
            raise
        raise MachineFaultError(f"{path_text(path)}: cannot be written: {error.strerror}") from None


def _write_to_pipe(parts: Iterable[bytes]) -> None:
    with tempfile.SpooledTemporaryFile(PIPED_BYTES_IN_MEMORY) as file:
        file.writelines(parts)
        file.seek(0)
        try:
            shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            raise ReaderEndedError from None


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name `path` in a `PipelineError`, and raise one for a lack of memory."""
    try:
        yield
    except PipelineError as error:
        raise type(error)(f"{path_text(path)}: {error}") from None
    except Exception as error:
        if not is_memory_fault(error):
            raise
        raise MachineFaultError(f"{path_text(path)}: {fault_text(error)}") from None
