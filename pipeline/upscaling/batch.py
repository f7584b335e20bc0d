"""A batch of pictures: one is computed while the next is decoded and earlier ones are written."""

import os
import stat
import sys
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from PIL import Image

from pipeline.errors import PipelineError, some_of
from pipeline.files import atomic_path
from pipeline.images.decode import ImageRefused, decoding, frame_count
from pipeline.images.opening import FORMATS
from pipeline.images.png_chunks import pixels_in_png
from pipeline.machine_errors import fault_text, is_memory_fault
from pipeline.machine_limits import available_memory, usable_cores
from pipeline.progress import Progress, Silent, task
from pipeline.upscaling.background import lay_on
from pipeline.upscaling.encoding import Encoding, check_format, encode_picture
from pipeline.upscaling.metadata import NO_METADATA
from pipeline.upscaling.pictures import Picture
from pipeline.upscaling.plan import PIPE, Job, Writing
from pipeline.upscaling.reading import ReadFile, is_stream, read_picture
from pipeline.upscaling.upscaler import Upscaler

LONG_TO_WRITE = 10_000_000
"""Pixels of a result, all frames together, that are compressed for seconds."""
MADE_MEANWHILE = "exists, made meanwhile; left out, --overwrite replaces it"
WAITING_SHARE = 8
"""The part of free memory, one by this number, that results take until they are written."""


@dataclass(frozen=True)
class Result:
    """An enlarged picture; `passes`: how often the generator was applied."""

    job: Job
    source: ReadFile
    picture: Picture
    passes: int


def write_picture(
    path: Path, data: bytes, times_ns: tuple[int, int] | None = None, overwrite: bool = True
) -> None:
    """Write a file atomically, or to standard output. Raises `PipelineError` that names it.

    Without `overwrite` raises `FileExistsError` where the file exists.
    """
    try:
        if path == PIPE:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
            return
        with atomic_path(path, overwrite) as temporary:
            temporary.write_bytes(data)
            if times_ns is not None:
                os.utime(temporary, ns=times_ns)
    except OSError as error:
        if not overwrite and isinstance(error, FileExistsError) and path.exists():
            raise
        raise PipelineError(f"{path}: cannot be written: {error.strerror}") from None


def upscale_all(
    jobs: Sequence[Job],
    choose: Callable[[Picture], Upscaler],
    writing: Writing,
    on_written: Callable[[Result], None],
    progress: Progress,
) -> list[str]:
    """Enlarge pictures, and return what went wrong, one line per picture.

    `choose` returns the upscaler for a picture; `on_written` is called after each file. With one
    picture `progress` counts its tiles, else the pixels of all pictures; it names a large last file
    while that is compressed, and at the end files that hold further pictures, or that were made
    meanwhile.
    """
    counter = _PixelCounter(jobs, progress) if len(jobs) > 1 else None
    with (
        # Pillow warns of damaged metadata.
        warnings.catch_warnings(action="ignore"),
        nullcontext() if counter is None else task(progress, "upscale", counter.total, "pixels"),
        ThreadPoolExecutor(1) as reader,
        _Writer(writing, on_written) as writer,
    ):
        for job, read in _read_ahead(reader, jobs):
            try:
                if counter is not None:
                    counter.begin(job)
                if job.writes_file and not writing.overwrite and job.target.exists():
                    writer.note(MADE_MEANWHILE, job.target)
                    continue
                result = _upscale(job, read(), choose, writing, counter or progress)
            except PipelineError as error:
                writer.problems.append(str(error))
            else:
                is_long = job.writes_file and _pixels(result.picture) >= LONG_TO_WRITE
                if job == jobs[-1] and is_long:
                    progress.message(f"writing {job.target}")
                writer.submit(result)
        if counter is not None:
            counter.end()
    for text, names in writer.notes.items():
        progress.message(f"{some_of(names)}: {text}")
    return writer.problems


class _Writer:
    """Writes results in threads: of small ones as many as there are cores, one that is large.

    Results are reported in their order, by the thread that calls.
    """

    def __init__(self, writing: Writing, on_written: Callable[[Result], None]) -> None:
        self.problems: list[str] = []
        """what could not be written, one line per picture"""
        self.notes: dict[str, list[str]] = {}
        """files by what is to be said of them"""
        self._writing, self._on_written = writing, on_written
        self._threads = usable_cores()
        self._pool = ThreadPoolExecutor(self._threads)
        # Each is there twice, as pixels and as what the encoder makes of them.
        self._most_pixels = available_memory() // (WAITING_SHARE * 2 * 4)
        self._waiting: deque[tuple[Result, Future[None]]] = deque()

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(self, *_: object) -> None:
        with self._pool:
            while self._waiting:
                self._finish_first()

    def submit(self, result: Result) -> None:
        """Write a result as soon as a thread and memory are free; reports what is written."""
        pixels = _pixels(result.picture)
        while self._waiting and (self._waiting[0][1].done() or not self._has_room(pixels)):
            self._finish_first()
        self._waiting.append((result, self._pool.submit(self._write, result)))

    def note(self, text: str, path: Path) -> None:
        """Say of a file at the end that it is left out, or what of it."""
        self.notes.setdefault(text, []).append(str(path))

    def _has_room(self, pixels: int) -> bool:
        waiting = sum(_pixels(result.picture) for result, _ in self._waiting)
        return len(self._waiting) < self._threads and waiting + pixels <= self._most_pixels

    def _finish_first(self) -> None:
        result, future = self._waiting.popleft()
        try:
            future.result()
        except PipelineError as error:
            self.problems.append(str(error))
        except FileExistsError:
            self.note(MADE_MEANWHILE, result.job.target)
        else:
            if (further := result.source.further) is not None:
                self.note(further, result.job.source)
            self._on_written(result)

    def _write(self, result: Result) -> None:
        times_ns = result.source.times_ns if self._writing.keep_time else None
        data = _encode(result, self._writing.encoding)
        write_picture(result.job.target, data, times_ns, self._writing.overwrite)


class _PixelCounter(Silent):
    """Shows the pixels of all pictures as done, from the progress of each picture's tiles."""

    def __init__(self, jobs: Sequence[Job], progress: Progress) -> None:
        self._pixels = {job: _pixels_in_header(job.source) for job in jobs}
        self._progress = progress
        self._picture: Job | None = None
        self._begun, self._done = 0, 0
        self._passes, self._steps = 1, 1

    @property
    def total(self) -> int:
        """Pixels of all pictures, all frames together."""
        return sum(self._pixels.values())

    def begin(self, job: Job) -> None:
        """End the picture before `job`, and begin with that."""
        self.end()
        self._picture = job
        self._begun += 1
        self._show(0)

    def end(self) -> None:
        """Count the whole picture that was begun last."""
        if self._picture is not None:
            self._done += self._pixels[self._picture]
            self._picture = None
        self._show(0)

    def expect(self, passes: int) -> None:
        """Take only the last of `passes` tasks for the picture's progress: it takes longest."""
        self._passes = passes

    def start(self, label: str, total: int | None, unit: str) -> None:
        self._passes -= 1
        self._steps = total or 1

    def update(self, done: int, **figures: object) -> None:
        if self._picture is not None and self._passes <= 0:
            self._show(self._pixels[self._picture] * done // self._steps)

    def message(self, text: str) -> None:
        self._progress.message(text)

    def _show(self, of_picture: int) -> None:
        shown = f"{self._begun}/{len(self._pixels)}"
        self._progress.update(self._done + of_picture, pictures=shown)


def _pixels_in_header(path: Path) -> int:
    """Return the pixels of a picture, all frames together; 1 where they are unknown."""
    with (
        suppress(ImageRefused, MemoryError, OSError),
        # Pillow warns of pictures that are large to decode; nothing is decoded here.
        warnings.catch_warnings(action="ignore"),
    ):
        # What a pipe holds can be read only once.
        if stat.S_ISREG(path.stat().st_mode):
            with path.open("rb") as file:
                if pixels := pixels_in_png(file):
                    return pixels
            with decoding(), Image.open(path, formats=FORMATS) as image:
                return image.width * image.height * frame_count(image)
    return 1


def _read_ahead(
    pool: ThreadPoolExecutor, jobs: Sequence[Job]
) -> Iterator[tuple[Job, Callable[[], ReadFile]]]:
    """Yield each job and what returns its picture, while the next file is being decoded."""
    reading: deque[tuple[Job, Callable[[], ReadFile]]] = deque()
    for job in jobs:
        if is_stream(job.source):
            # It may never end, and Ctrl-C interrupts reads of the main thread only.
            reading.append((job, partial(read_picture, job.source)))
        else:
            reading.append((job, pool.submit(read_picture, job.source).result))
        if len(reading) > 1:
            yield reading.popleft()
    yield from reading


def _upscale(
    job: Job,
    source: ReadFile,
    choose: Callable[[Picture], Upscaler],
    writing: Writing,
    progress: Progress,
) -> Result:
    colour = writing.background
    with _naming(job.source):
        picture = source.picture if colour is None else lay_on(source.picture, colour)
        height, width = picture.frames[0].shape[:2]
        upscaler = choose(source.picture)
        # Before the enlargement, which may take hours.
        if writing.encoding.format == "jpg" and picture.has_alpha and not picture.animated:
            raise PipelineError("JPEG has no transparency; name --background, or use png or webp")
        check_format(writing.encoding.format, picture, *upscaler.size_of(width, height))
        passes = upscaler.passes(width, height)
        if isinstance(progress, _PixelCounter):
            # Of an animation, frames are counted, not passes.
            progress.expect(1 if picture.animated else passes)
        return Result(job, source, upscaler.upscale_picture(picture, progress), passes)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Name `path` in a `PipelineError`, and raise one for a lack of memory."""
    try:
        yield
    except PipelineError as error:
        raise PipelineError(f"{path}: {error}") from None
    except Exception as error:
        if not is_memory_fault(error):
            raise
        raise PipelineError(f"{path}: {fault_text(error)}") from None


def _pixels(picture: Picture) -> int:
    height, width = picture.frames[0].shape[:2]
    return int(height * width * len(picture.frames))


def _encode(result: Result, encoding: Encoding) -> bytes:
    picture = result.picture
    if encoding.strip_metadata:
        picture = replace(picture, metadata=NO_METADATA)
    with _naming(result.job.target):
        return encode_picture(picture, encoding.format, encoding.quality)
