"""A batch of pictures: computed while the next are decoded and earlier ones are written."""

import os
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice

import torch

from pipeline.errors import PipelineError, some_of
from pipeline.machine_limits import usable_cores
from pipeline.progress import Progress, Silent
from pipeline.upscaling.background import lay_on
from pipeline.upscaling.batch_progress import BatchProgress, batch_progress, pixels_in_header
from pipeline.upscaling.encoding import check_format, encoder_bytes
from pipeline.upscaling.pictures import Picture
from pipeline.upscaling.plan import Job, Writing
from pipeline.upscaling.reading import ReadFile, is_stream, read_picture
from pipeline.upscaling.result_writer import MADE_MEANWHILE, Result, ResultWriter, naming
from pipeline.upscaling.upscaler import MOST_TOGETHER, Upscaler

LONG_TO_WRITE = 10_000_000
"""Pixels of a result that are compressed for seconds."""
PIXELS_AHEAD = 10_000_000
"""Pixels that are decoded before their turn, at least one picture."""


@dataclass(frozen=True)
class _Task:
    """A picture that can be enlarged, and by what; `passes`: as of `Result`."""

    job: Job
    source: ReadFile
    picture: Picture
    upscaler: Upscaler
    passes: int

    @property
    def suits_one_core(self) -> bool:
        """Whether it is enlarged beside others of the batch."""
        return self.upscaler.suits_one_core(self.picture)

    def goes_with(self, other: "_Task") -> bool:
        """Return whether both pictures can be computed at once."""
        frames = self.picture.frames[0], other.picture.frames[0]
        return (
            self.upscaler is other.upscaler
            and not (self.picture.animated or other.picture.animated)
            and frames[0].shape == frames[1].shape
            and frames[0].dtype == frames[1].dtype
        )


def upscale_all(
    jobs: Sequence[Job],
    choose: Callable[[Picture], Upscaler],
    writing: Writing,
    on_written: Callable[[Result], None],
    progress: Progress,
    prepare: Callable[[Picture], object] = lambda _: None,
) -> dict[Job, PipelineError]:
    """Enlarge pictures, and return what went wrong.

    `choose` returns the upscaler for a picture; `prepare` computes what takes it long, in threads
    that decode pictures. `on_written` is called after each file. With one picture `progress`
    counts its tiles, else the pixels of all pictures; it names a large last file while that is
    compressed, and at the end files that hold further pictures, or that were made meanwhile.
    """
    # Pillow warns of damaged metadata, and of large pictures.
    with warnings.catch_warnings(action="ignore"):
        pixels = {job: pixels_in_header(job.source) for job in jobs} if len(jobs) > 1 else {}
        with (
            batch_progress(pixels, progress) as shown,
            _reader_threads() as readers,
            _one_core_threads() as cores,
            ResultWriter(writing, on_written) as writer,
        ):
            read = _read_ahead(readers, partial(_read, prepare), jobs, pixels)
            tasks = _tasks(read, choose, writer, shown)
            for together in _groups(tasks):
                # Fewer pictures than cores would leave some idle.
                if len(jobs) >= torch.get_num_threads() and together[0].suits_one_core:
                    for one in together:
                        _submit(one, writer, cores, shown)
                    continue
                shown.begin([task.job for task in together])
                for result in _enlarged(together, writer, shown):
                    if result.job == jobs[-1] and _takes_long(result):
                        progress.message(f"writing {result.job.target}")
                    writer.submit(result)
    for text, names in writer.notes.items():
        progress.message(f"{some_of(names)}: {text}")
    return {job: writer.failures[job] for job in jobs if job in writer.failures}


@contextmanager
def _reader_threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(usable_cores()) as pool:
        try:
            yield pool
        finally:
            # After Ctrl-C nobody waits for what was not begun.
            pool.shutdown(wait=False, cancel_futures=True)


@contextmanager
def _one_core_threads() -> Iterator[ThreadPoolExecutor]:
    """Provide as many threads as PyTorch computes in, each of which computes alone."""
    count = torch.get_num_threads()
    with ThreadPoolExecutor(count, "one-core", torch.set_num_threads, (1,)) as pool:
        yield pool
    # It was changed for threads that start later, too.
    torch.set_num_threads(count)


def _read(prepare: Callable[[Picture], object], job: Job) -> ReadFile:
    source = read_picture(job.source)
    with naming(job.source):
        prepare(source.picture)
    return source


def _read_ahead(
    pool: ThreadPoolExecutor,
    read: Callable[[Job], ReadFile],
    jobs: Sequence[Job],
    pixels: Mapping[Job, int],
) -> Iterator[tuple[Job, Callable[[], ReadFile]]]:
    """Yield each job and what returns its picture, while the next files are being decoded."""
    reading: deque[tuple[Job, Callable[[], ReadFile]]] = deque()
    for job in jobs:
        if is_stream(job.source):
            # It may never end, and Ctrl-C interrupts reads of the main thread only.
            reading.append((job, partial(read, job)))
        else:
            reading.append((job, pool.submit(read, job).result))
        while len(reading) > MOST_TOGETHER or _pixels_ahead(reading, pixels) >= PIXELS_AHEAD:
            yield reading.popleft()
    yield from reading


def _pixels_ahead(reading: Iterable[tuple[Job, object]], pixels: Mapping[Job, int]) -> int:
    """Return the pixels of all but the first."""
    return sum(pixels.get(job, 0) for job, _ in islice(reading, 1, None))


def _tasks(
    read: Iterable[tuple[Job, Callable[[], ReadFile]]],
    choose: Callable[[Picture], Upscaler],
    writer: ResultWriter,
    progress: BatchProgress,
) -> Iterator[_Task]:
    """Yield what can be enlarged; the writer gets what cannot."""
    for job, source in read:
        if job.writes_file and not writer.writing.overwrite and os.path.lexists(job.target):
            writer.note(MADE_MEANWHILE, job.target)
        else:
            try:
                yield _task(job, source(), choose, writer.writing)
                continue
            except PipelineError as error:
                writer.failures[job] = error
        progress.begin([job])


def _task(
    job: Job, source: ReadFile, choose: Callable[[Picture], Upscaler], writing: Writing
) -> _Task:
    """Return what is to be enlarged. Raises `PipelineError` that names the source."""
    colour, format = writing.background, writing.encoding.format
    with naming(job.source):
        picture = source.picture if colour is None else lay_on(source.picture, colour)
        upscaler = choose(source.picture)
        # Before the enlargement, which may take hours.
        if format == "jpg" and picture.has_alpha and not picture.animated:
            raise PipelineError("JPEG has no transparency; name --background, or use png or webp")
        check_format(format, picture, *upscaler.size_of(*picture.size))
        return _Task(job, source, picture, upscaler, upscaler.passes(*picture.size))


def _groups(tasks: Iterable[_Task]) -> Iterator[list[_Task]]:
    """Yield the pictures that are computed at once, in their order."""
    group, most = list[_Task](), 1
    for one in tasks:
        if group and not group[0].goes_with(one):
            yield group
            group = []
        if not group:
            most = one.upscaler.most_together(one.picture)
        group.append(one)
        if len(group) == most:
            yield group
            group = []
    if group:
        yield group


def _submit(task: _Task, writer: ResultWriter, threads: Executor, progress: BatchProgress) -> None:
    """Let the writer enlarge a small picture in one of `threads`."""
    width, height = task.upscaler.size_of(*task.picture.size)

    def make() -> Result:
        return _enlarged_together([task], writer.writing, Silent())[0]

    progress.begin_beside(task.job)
    on_end = partial(progress.end_beside, task.job)
    writer.submit_making(task.job, width * height, make, threads, on_end)


def _enlarged(
    tasks: Sequence[_Task], writer: ResultWriter, progress: BatchProgress
) -> list[Result]:
    """Enlarge pictures at once; where one fails, each by itself. The writer gets what failed."""
    # Of an animation, frames are counted, not passes.
    progress.expect(1 if tasks[0].picture.animated else tasks[0].passes)
    try:
        return _enlarged_together(tasks, writer.writing, progress)
    except PipelineError as error:
        if len(tasks) > 1:
            return [result for task in tasks for result in _enlarged([task], writer, progress)]
        writer.failures[tasks[0].job] = error
        return []


def _enlarged_together(
    tasks: Sequence[_Task], writing: Writing, progress: Progress
) -> list[Result]:
    """Enlarge pictures at once. Raises `PipelineError` that names the first source."""
    first = tasks[0]
    with naming(first.job.source):
        size = first.upscaler.size_of(*first.picture.size)
        encoder = encoder_bytes(writing.encoding.format, first.picture, *size)
        if first.picture.animated:
            large = [first.upscaler.upscale_picture(first.picture, progress, encoder)]
        else:
            pictures = [task.picture for task in tasks]
            large = first.upscaler.upscale_pictures(pictures, progress, encoder)
    return [
        Result(task.job, task.source, picture, task.passes)
        for task, picture in zip(tasks, large, strict=True)
    ]


def _takes_long(result: Result) -> bool:
    is_still_file = result.job.writes_file and not result.picture.animated
    return is_still_file and result.picture.pixel_count >= LONG_TO_WRITE
