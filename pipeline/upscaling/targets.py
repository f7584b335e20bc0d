"""What keeps results from being written, found before the work."""

import errno
import os
import select
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pipeline.errors import ReaderEndedError
from pipeline.upscaling.plan import PIPE, Job


@dataclass(frozen=True)
class Prospects:
    """Jobs that can be done, those that have their result, and why others cannot be done."""

    possible: list[Job]
    existing: list[Job]
    problems: list[str]


def sort_jobs(jobs: Iterable[Job], may_replace: Callable[[Job], bool]) -> Prospects:
    """Sort jobs by what can be known of files. `may_replace`: whether a result is made anew."""
    nameable, unnameable = nameable_jobs(jobs)
    existing = [
        job
        for job in nameable
        if job.writes_file and os.path.lexists(job.target) and not may_replace(job)
    ]
    has_result = set(existing)
    possible, impossible = writable_jobs(job for job in nameable if job not in has_result)
    return Prospects(possible, existing, [*unnameable, *impossible])


def writable_jobs(jobs: Iterable[Job]) -> tuple[list[Job], list[str]]:
    """Return the jobs that can be done as far as files are concerned, and one line per problem."""
    possible, problems = [], dict[str, None]()
    folder_problem = cache(_folder_problem)
    for job in jobs:
        problem = _source_problem(job.source)
        if problem is None:
            problem = folder_problem(job.target.parent) if job.writes_file else _pipe_problem()
        if problem is None:
            possible.append(job)
        else:
            problems[problem] = None
    return possible, list(problems)


def nameable_jobs(jobs: Iterable[Job]) -> tuple[list[Job], list[str]]:
    """Return the jobs whose results may have their names, and one line for each other."""
    possible, problems = [], []
    for job in jobs:
        problem = _name_problem(job) if job.writes_file else None
        if problem is None:
            possible.append(job)
        else:
            problems.append(problem)
    return possible, problems


def _name_problem(job: Job) -> str | None:
    try:
        is_folder = job.target.is_dir()
    except OSError as error:
        # A picture that is missing is named later.
        has_source = job.source == PIPE or os.path.lexists(job.source)
        if error.errno == errno.ENAMETOOLONG and has_source:
            length = max(len(os.fsencode(part)) for part in job.target.parts)
            return f"{job.source}: its result's name has {length} bytes, too many; use -o"
        # Whatever else is wrong with the folder, `_folder_problem` finds.
        return None
    return f"{job.target}: is a folder; name another result with -o" if is_folder else None


def _source_problem(source: Path) -> str | None:
    if source == PIPE:
        return None
    try:
        source.stat()
    except OSError as error:
        return f"{source}: {error.strerror}"
    return None


def _folder_problem(folder: Path) -> str | None:
    """Return why no file can be made in a folder, which need not exist; None if one can."""
    existing = next((path for path in (folder, *folder.parents) if os.path.lexists(path)), folder)
    try:
        with tempfile.TemporaryFile(dir=existing):
            return None
    except OSError as error:
        # Of file systems that hold no files of users, as /proc, that is the system's reason.
        if error.errno == errno.ENOENT and existing.is_dir():
            return f"{folder}: takes no files; name another folder"
        return f"{folder}: cannot be written: {error.strerror}"


def _pipe_problem() -> str | None:
    """Return the problem of a standard output that is closed; else None.

    Raises `ReaderEndedError` where it has no reader.
    """
    # Python has no stream where the descriptor was closed when it started.
    if sys.__stdout__ is None:
        return f"{PIPE}: standard output is closed"
    if not hasattr(select, "poll"):
        return None
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    if any(event & select.POLLERR for _, event in poll.poll(0)):
        raise ReaderEndedError
    return None
