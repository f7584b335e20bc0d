"""A batch of pictures: one is computed while the next is decoded and the last one is written."""

import sys
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.files import atomic_path
from pipeline.images.decode import ImageRefused
from pipeline.machine_errors import fault_text
from pipeline.progress import Progress, Silent, task
from pipeline.upscaling.encoding import Encoding, check_format, encode_picture
from pipeline.upscaling.metadata import NO_METADATA
from pipeline.upscaling.pictures import Picture, decode_picture
from pipeline.upscaling.plan import PIPE, Job
from pipeline.upscaling.upscaler import Upscaler

LONG_TO_WRITE = 10_000_000
"""Pixels of a result, all frames together, that are compressed for seconds."""


def read_picture(path: Path) -> Picture:
    """Decode a file, or standard input. Raises `PipelineError` that names the file."""
    try:
        data = sys.stdin.buffer.read() if path == PIPE else path.read_bytes()
        return decode_picture(data)
    except (MemoryError, OSError) as error:
        raise PipelineError(f"{path}: {fault_text(error)}") from None
    except ImageRefused as refusal:
        raise PipelineError(f"{path}: {refusal.text}") from None


def write_picture(path: Path, data: bytes) -> None:
    """Write a file atomically, or to standard output. Raises `PipelineError` that names it."""
    try:
        if path == PIPE:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
            return
        with atomic_path(path) as temporary:
            temporary.write_bytes(data)
    except OSError as error:
        raise PipelineError(f"{path}: cannot be written: {error.strerror}") from None


def upscale_all(
    jobs: Sequence[Job],
    choose: Callable[[Picture], Upscaler],
    encoding: Encoding,
    on_written: Callable[[Job, Picture], None],
    progress: Progress,
) -> list[str]:
    """Enlarge pictures, and return what went wrong, one line per picture.

    `choose` returns the upscaler for a picture; `on_written` is called after each file. With one
    picture `progress` counts its tiles, else pictures; it names a large last file while that is
    compressed.
    """
    problems: list[str] = []

    def write(job: Job, picture: Picture) -> None:
        try:
            write_picture(job.target, _encode(job, picture, encoding))
        except PipelineError as error:
            problems.append(str(error))
        else:
            on_written(job, picture)

    tile_progress = progress if len(jobs) == 1 else Silent()
    batch_progress = Silent() if len(jobs) == 1 else progress
    with (
        # Pillow warns of damaged metadata.
        warnings.catch_warnings(action="ignore"),
        task(batch_progress, "upscale", len(jobs), "pictures"),
        ThreadPoolExecutor(1) as reader,
        ThreadPoolExecutor(1) as writer,
    ):
        writing: Future[None] | None = None
        for done, (job, decoded) in enumerate(_decoded_ahead(reader, jobs), 1):
            try:
                picture = _upscale(job, decoded.result(), choose, encoding, tile_progress)
            except PipelineError as error:
                problems.append(str(error))
            else:
                # No more than one enlarged picture waits in memory.
                if writing is not None:
                    writing.result()
                if done == len(jobs) and job.writes_file and _pixels(picture) >= LONG_TO_WRITE:
                    progress.message(f"writing {job.target}")
                writing = writer.submit(write, job, picture)
            batch_progress.update(done)
        if writing is not None:
            writing.result()
    return problems


def _decoded_ahead(
    pool: ThreadPoolExecutor, jobs: Sequence[Job]
) -> Iterator[tuple[Job, Future[Picture]]]:
    """Yield each job and its picture, while the next one is being decoded."""
    decoding: deque[tuple[Job, Future[Picture]]] = deque()
    for job in jobs:
        decoding.append((job, pool.submit(read_picture, job.source)))
        if len(decoding) > 1:
            yield decoding.popleft()
    yield from decoding


def _upscale(
    job: Job,
    picture: Picture,
    choose: Callable[[Picture], Upscaler],
    encoding: Encoding,
    progress: Progress,
) -> Picture:
    height, width = picture.frames[0].shape[:2]
    try:
        upscaler = choose(picture)
        # Before the enlargement, which may take hours.
        check_format(encoding.format, picture, *upscaler.size_of(width, height))
        return upscaler.upscale_picture(picture, progress)
    except PipelineError as error:
        raise PipelineError(f"{job.source}: {error}") from None


def _pixels(picture: Picture) -> int:
    height, width = picture.frames[0].shape[:2]
    return int(height * width * len(picture.frames))


def _encode(job: Job, picture: Picture, encoding: Encoding) -> bytes:
    if encoding.strip_metadata:
        picture = replace(picture, metadata=NO_METADATA)
    try:
        return encode_picture(picture, encoding.format, encoding.quality)
    except PipelineError as error:
        raise PipelineError(f"{job.target}: {error}") from None
