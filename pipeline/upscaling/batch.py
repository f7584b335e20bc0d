"""Many pictures, one after another: which becomes which file, and three things done at once."""

import sys
from collections import Counter, deque
from collections.abc import Callable, Container, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import PipelineError, UsageError
from pipeline.files import atomic_path
from pipeline.images.decode import ImageRefused
from pipeline.machine_errors import fault_text
from pipeline.progress import Progress
from pipeline.upscaling.encoding import FORMATS, check_format, encode_picture
from pipeline.upscaling.pictures import Picture, decode_picture
from pipeline.upscaling.upscaler import Upscaler

PIPE = Path("-")
READABLE = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".jp2"}
"""Endings of the files that are taken from folders; a file that is named may have any."""


@dataclass(frozen=True)
class Job:
    """A picture and the file that it becomes; `PIPE` is standard input, standard output."""

    source: Path
    target: Path


@dataclass(frozen=True)
class Encoding:
    """How results are written, as of `encode_picture`."""

    format: str
    quality: int | None = None


def plan(inputs: Sequence[Path], output: Path | None, format: str, suffix: str) -> list[Job]:
    """The files that pictures and folders of pictures become.

    A picture alone becomes `output`, or lies beside itself as NAME`suffix`; in a folder `output`
    every picture keeps its name, and what lay in folders keeps these. A folder without `output`
    becomes FOLDER`suffix`. Raises `UsageError`.
    """
    if PIPE in inputs or output == PIPE:
        return _piped(inputs, output)
    folders = [path for path in inputs if _is_folder(path)]
    alone = len(inputs) == 1 and not folders
    if output is not None and alone and output.suffix and not _is_folder(output):
        jobs = [Job(inputs[0], _file(output))]
    else:
        if output is not None and (output.is_file() or output.suffix.lower() in FORMATS):
            raise UsageError(f"--output: {output} is a file, for one picture; name a folder")
        named: list[tuple[Path, Path]] = []
        for path in inputs:
            if path in folders:
                into = output or _beside(path, suffix)
                found = _pictures_in(path, into)
                named += [(picture, into / picture.relative_to(path)) for picture in found]
            else:
                named.append((path, (output or path.parent) / path.name))
        mark = suffix if output is None else ""
        jobs = _with_endings(named, set(inputs), mark, f".{format}")
    _refuse_doubles(jobs)
    return jobs


def _beside(folder: Path, suffix: str) -> Path:
    named = folder if folder.name not in ("", "..") else folder.resolve()
    if not named.name:
        raise UsageError(f"{folder}: has nothing beside it; name a folder with --output")
    return named.with_name(named.name + suffix)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError as error:
        raise UsageError(f"{str(path)[:60]}: {error.strerror}") from None


def _file(output: Path) -> Path:
    if output.suffix.lower() not in FORMATS:
        raise UsageError(f"--output: {output}: unknown ending; use {', '.join(FORMATS)}")
    return output


def _piped(inputs: Sequence[Path], output: Path | None) -> list[Job]:
    if len(inputs) > 1:
        raise UsageError("-: a pipe holds one picture; name no others beside it")
    if output is not None and output != PIPE:
        _file(output)
    return [Job(inputs[0], output or PIPE)]


def _pictures_in(folder: Path, results: Path) -> list[Path]:
    top, inner = folder.resolve(), results.resolve()
    if inner == top:
        raise UsageError(f"--output: {results} is the folder itself; name another")
    earlier = inner.relative_to(top).parts if inner.is_relative_to(top) else None
    found = []
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        hidden = any(part.startswith(".") for part in parts)
        result = earlier is not None and parts[: len(earlier)] == earlier
        if path.suffix.lower() in READABLE and path.is_file() and not hidden and not result:
            found.append(path)
    if not found:
        raise UsageError(f"{folder}: holds no picture ({', '.join(sorted(READABLE))})")
    return found


def _with_endings(
    named: list[tuple[Path, Path]], marked: Container[Path], mark: str, ending: str
) -> list[Job]:
    """`a.jpg` becomes `a.png`, but `a.jpg.png` where `a.webp` would become that too.

    Those of the pictures that are `marked` have `mark` before the ending.
    """

    def result(source: Path, target: Path, stem: str) -> Path:
        return target.with_name(stem + (mark if source in marked else "") + ending)

    short = [result(source, target, _stem(target)) for source, target in named]
    counts = Counter(short)
    return [
        Job(source, path if counts[path] == 1 else result(source, target, target.name))
        for (source, target), path in zip(named, short, strict=True)
    ]


def _stem(path: Path) -> str:
    """A name without its ending; what follows a dot in a title is none."""
    return path.stem if path.suffix.lower() in READABLE else path.name


def _refuse_doubles(jobs: list[Job]) -> None:
    sources = {job.source.resolve() for job in jobs}
    counts = Counter(job.target for job in jobs)
    for job in jobs:
        if counts[job.target] > 1:
            raise UsageError(f"--output: two pictures would become {job.target}; name them apart")
        if job.target.resolve() in sources:
            raise UsageError(f"--output: {job.target} is one of the pictures; name another folder")


def read_picture(path: Path) -> Picture:
    """Decode a file. Raises `PipelineError` that names it."""
    try:
        data = sys.stdin.buffer.read() if path == PIPE else path.read_bytes()
        return decode_picture(data)
    except (MemoryError, OSError) as error:
        raise PipelineError(f"{path}: {fault_text(error)}") from None
    except ImageRefused as refusal:
        raise PipelineError(f"{path}: {refusal.text}") from None


def write_picture(path: Path, data: bytes) -> None:
    """Write a file whole or not at all. Raises `PipelineError` that names it."""
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
    tell: Callable[[Job, Picture], None],
    progress: Progress,
) -> list[str]:
    """Enlarge pictures; while one is computed, the next is decoded and the last is encoded.

    `choose` gives each its upscaler; `tell` is called with every file that was written. Returns
    what went wrong, a line a picture.
    """
    problems: list[str] = []

    def finish(job: Job, picture: Picture) -> None:
        try:
            write_picture(job.target, _encoded(job, picture, encoding))
        except PipelineError as error:
            problems.append(str(error))
        else:
            tell(job, picture)

    alone = len(jobs) == 1
    if not alone:
        progress.start("upscale", len(jobs), "pictures")
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
        writing: Future[None] | None = None
        sources = [job.source for job in jobs]
        for done, (job, read) in enumerate(zip(jobs, _ahead(reader, sources), strict=True), 1):
            try:
                picture = _enlarged(job, read.result(), choose, encoding, progress, alone)
            except PipelineError as error:
                problems.append(str(error))
            else:
                if writing is not None:
                    writing.result()
                writing = writer.submit(finish, job, picture)
            if not alone:
                progress.update(done)
        if writing is not None:
            writing.result()
    progress.finish()
    return problems


def _ahead(pool: ThreadPoolExecutor, sources: Sequence[Path]) -> Iterator[Future[Picture]]:
    """Each picture, while the one after it is being decoded."""
    begun: deque[Future[Picture]] = deque()
    for source in sources:
        begun.append(pool.submit(read_picture, source))
        if len(begun) > 1:
            yield begun.popleft()
    yield from begun


def _enlarged(
    job: Job,
    picture: Picture,
    choose: Callable[[Picture], Upscaler],
    encoding: Encoding,
    progress: Progress,
    alone: bool,
) -> Picture:
    height, width = picture.frames[0].shape[:2]
    try:
        upscaler = choose(picture)
        check_format(encoding.format, picture, *upscaler.size_of(width, height))
        return upscaler.picture(picture, progress if alone else None)
    except PipelineError as error:
        raise PipelineError(f"{job.source}: {error}") from None


def _encoded(job: Job, picture: Picture, encoding: Encoding) -> bytes:
    try:
        return encode_picture(picture, encoding.format, encoding.quality)
    except PipelineError as error:
        raise PipelineError(f"{job.target}: {error}") from None
