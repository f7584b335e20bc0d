"""The plan of a batch: which picture becomes which file, and how it is written."""

import os
import re
import stat
import sys
from collections import Counter, defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import PipelineError, UsageError, some_of
from pipeline.images.folders import FolderContents, file_mode, find_pictures, is_folder
from pipeline.images.suffixes import PICTURE_SUFFIXES
from pipeline.upscaling.encoding import Encoding
from pipeline.upscaling.formats import FORMAT_BY_SUFFIX
from pipeline.upscaling.target_size import RESULT_SUFFIX

PIPE = Path("-")


@dataclass(frozen=True)
class Job:
    """A picture and the file that it becomes; `PIPE` is standard input, standard output."""

    source: Path
    target: Path

    @property
    def writes_file(self) -> bool:
        """Whether the result is a file, not standard output."""
        return self.target != PIPE


@dataclass(frozen=True)
class Writing:
    """How results are written, beside their encoding.

    `background`: a colour that transparent pictures are laid on. `keep_time`: with the time of the
    picture. `overwrite`: also over files that were made meanwhile, as by a second run.
    """

    encoding: Encoding
    background: str | None = None
    keep_time: bool = False
    overwrite: bool = False


def choose_encoding(format: str | None, quality: int | None, output: Path | None) -> Encoding:
    """Return the encoding: `format`, else that of `output`'s suffix, else PNG.

    Raises `UsageError` where `format` and `output` differ, or where the format has no quality.
    """
    named = None
    if output is not None and not output.is_dir():
        named = FORMAT_BY_SUFFIX.get(output.suffix.lower())
    chosen = format or named or "png"
    if named is not None and named != chosen:
        raise UsageError(f"--format: {chosen} is not what --output {output} is called")
    if quality is not None and chosen in ("png", "gif"):
        raise UsageError(f"--quality: {chosen} has none; it is for jpg and webp")
    return Encoding(chosen, quality)


@dataclass(frozen=True)
class Plan:
    """The jobs of a call, and what gets none."""

    jobs: list[Job]
    left_out: list[Path] = field(default_factory=list)
    """pictures that are the results of others"""
    notes: list[str] = field(default_factory=list)
    """what else is left out, one line for each reason"""
    counts: list[str] = field(default_factory=list)
    """how much of folders is left out, as it holds no picture"""
    collisions: list[str] = field(default_factory=list)
    """pictures that can have no result of their own"""
    unreadable: list[str] = field(default_factory=list)
    """folders that cannot be read"""


def plan_jobs(
    inputs: Sequence[Path],
    output: Path | None,
    format: str,
    suffix: str,
    into_folder: bool = False,
) -> Plan:
    """Return one job for each picture of `inputs`, which are pictures and folders of pictures.

    A single picture becomes the file `output`, or without it a file beside itself whose name ends
    in `suffix`. In a folder `output` every picture keeps its name, and its path below the folder
    that it came from. Without `output` the results of a folder go to one beside it whose name ends
    in `suffix`. `into_folder`: `output` is a folder, also where it does not exist. Pictures that
    have the suffix of results in their path, and are so the results of others of `inputs`, get no
    job, and a file that has several of the paths gets one. Raises `UsageError`, and `PipelineError`
    for an `output` such as a device.
    """
    if PIPE in inputs or output == PIPE:
        return Plan(_plan_pipe(inputs, output))
    folders = [path for path in inputs if is_folder(path)]
    inputs, same_files = _without_same_files(inputs, set(folders))
    single = len(inputs) == 1 and not folders
    if output is not None and _is_result(output, single, into_folder):
        jobs, collisions = _without_collisions([Job(inputs[0], _checked_file(output))])
        return Plan(jobs, notes=same_files, collisions=collisions)
    contents = {path: _contents(path, output, suffix) for path in folders}
    targets = _targets(inputs, contents, output)
    left_out = _results_among([source for source, _ in targets])
    results = set(left_out)
    targets = [target for target in targets if target[0] not in results]
    name_suffix = suffix if output is None else ""
    jobs, collisions = _without_collisions(_jobs(targets, set(inputs), name_suffix, f".{format}"))
    held = contents.values()
    return Plan(
        jobs,
        left_out,
        [*same_files, *(line for one in held for line in one.left_out_lines())],
        [line for one in held for line in (*one.count_lines(), *one.empty_lines())],
        collisions,
        [line for one in held for line in one.unreadable],
    )


def _is_result(output: Path, single: bool, into_folder: bool) -> bool:
    """Return whether `output` is the file of a `single` picture, and not a folder.

    Raises `UsageError` where it is a file, and more than one is needed, `PipelineError` for a
    device.
    """
    mode = file_mode(output)
    if mode and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise PipelineError(f"--output: {output} is neither a file nor a folder; - is for a pipe")
    into_folder = into_folder or stat.S_ISDIR(mode)
    if single and output.suffix and not into_folder:
        return True
    if stat.S_ISREG(mode) or (not into_folder and _is_named_as_picture(output)):
        raise UsageError(f"--output: {output} is a file, for one picture; name a folder")
    return False


def _results_among(pictures: Sequence[Path]) -> list[Path]:
    """Return the pictures that earlier calls made of others of `pictures`, at any size and format.

    A result has a suffix of results at the end of its name's stem, or of the name of a folder that
    holds it.
    """
    sources = {path.parent / name for path in pictures for name in (_stem(path), path.name)}

    def is_result(path: Path) -> bool:
        parts = (*path.parent.parts, _stem(path))
        return any(
            Path(*parts[:at], match[1], *parts[at + 1 :]) in sources
            for at, part in enumerate(parts)
            if (match := re.fullmatch(rf"(.+?)({RESULT_SUFFIX})", part, re.DOTALL))
        )

    return [path for path in pictures if is_result(path)]


def _without_same_files(
    inputs: Sequence[Path], folders: Container[Path]
) -> tuple[list[Path], list[str]]:
    """Return one path for each file, and one line for each other path. Folders stay."""
    first: dict[str, Path] = {}
    kept, notes = [], []
    for path in inputs:
        same = path if path in folders else first.setdefault(os.path.realpath(path), path)
        if same is path:
            kept.append(path)
        else:
            notes.append(f"{path}: left out, as it is the same file as {same}")
    return kept, notes


def _plan_pipe(inputs: Sequence[Path], output: Path | None) -> list[Job]:
    if len(inputs) > 1:
        raise UsageError("-: a pipe holds one picture; name no others beside it")
    job = Job(inputs[0], output or PIPE)
    if job.source == PIPE and sys.stdin.isatty():
        raise UsageError("-: standard input is a terminal; pipe a picture, or name a file")
    if job.writes_file:
        _checked_file(job.target)
    elif sys.stdout.isatty():
        raise UsageError("-: standard output is a terminal; pipe it, or name a file with -o")
    return [job]


def _is_named_as_picture(output: Path) -> bool:
    return output.suffix.lower() in FORMAT_BY_SUFFIX


def _checked_file(output: Path) -> Path:
    if not _is_named_as_picture(output):
        raise UsageError(f"--output: {output}: unknown ending; use {', '.join(FORMAT_BY_SUFFIX)}")
    return output


def _targets(
    inputs: Sequence[Path], contents: Mapping[Path, FolderContents], output: Path | None
) -> list[tuple[Path, Path]]:
    """Return each picture and its target, which still has the picture's own suffix."""
    targets: dict[tuple[str, Path], tuple[Path, Path]] = {}

    def add(source: Path, target: Path) -> None:
        # Two paths to a file, as through a linked folder, may lead to one result.
        targets.setdefault((os.path.realpath(source), _real_target(target)), (source, target))

    for path in inputs:
        if path in contents:
            held = contents[path]
            for picture in held.pictures:
                add(picture, held.results / picture.relative_to(path))
        else:
            add(path, (output or path.parent) / path.name)
    return list(targets.values())


def _real_target(path: Path) -> Path:
    """Return where a file would be made: its name may be a link, which would be replaced."""
    return Path(os.path.realpath(path.parent), path.name)


def _contents(folder: Path, output: Path | None, suffix: str) -> FolderContents:
    results = output or _sibling_folder(folder, suffix)
    if os.path.realpath(results) == os.path.realpath(folder):
        raise UsageError(f"--output: {results} is the folder itself; name another")
    return find_pictures(folder, results)


def _sibling_folder(folder: Path, suffix: str) -> Path:
    named = folder if folder.name not in ("", "..") else folder.resolve()
    if not named.name:
        raise UsageError(f"{folder}: has nothing beside it; name a folder with --output")
    return named.with_name(named.name + suffix)


def _jobs(
    targets: list[tuple[Path, Path]], renamed: Container[Path], name_suffix: str, extension: str
) -> list[Job]:
    """Return the jobs: `a.jpg` becomes `a.png`, but `a.jpg.png` where `a.webp` lies beside it.

    So the name of a result depends on the picture's folder, not on the other jobs. The pictures in
    `renamed` have `name_suffix` before the extension.
    """

    def result(source: Path, target: Path, stem: str) -> Path:
        return target.with_name(stem + (name_suffix if source in renamed else "") + extension)

    folders = {source.parent for source, _ in targets}
    stems = Counter(picture for folder in folders for picture in _stems_in(folder))
    short = [result(source, target, _stem(target)) for source, target in targets]
    counts = Counter(short)
    return [
        Job(source, path)
        if counts[path] == 1 and stems[source.parent, _stem(source)] <= 1
        else Job(source, result(source, target, target.name))
        for (source, target), path in zip(targets, short, strict=True)
    ]


def _stems_in(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield folder and stem of each picture directly in a folder, as far as it can be read."""
    with suppress(OSError):
        for path in folder.iterdir():
            # A folder that is called as a picture takes the name of a result, too.
            if path.suffix.lower() in PICTURE_SUFFIXES or path.is_file():
                yield folder, _stem(path)


def _stem(path: Path) -> str:
    """Return the name without its suffix, if that is one of pictures: a title may have dots."""
    return path.stem if path.suffix.lower() in PICTURE_SUFFIXES else path.name


def _without_collisions(jobs: Sequence[Job]) -> tuple[list[Job], list[str]]:
    """Return the jobs that have a target of their own, and one line for each target of others."""
    sources = {os.path.realpath(job.source) for job in jobs}
    by_target: dict[Path, list[Job]] = defaultdict(list)
    for job in jobs:
        by_target[_real_target(job.target)].append(job)
    folders = {folder for target in by_target for folder in target.parents}
    kept: list[Job] = []
    collisions: list[str] = []
    for real_target, rivals in by_target.items():
        target = rivals[0].target
        names = some_of([str(job.source) for job in rivals])
        if len(rivals) > 1:
            collisions.append(
                f"{names}: would become the same file, {target}; enlarge them one by one, and name "
                "each another with -o"
            )
        elif os.path.realpath(target) in sources:
            collisions.append(f"{names}: would replace the picture {target}; name another with -o")
        elif real_target in folders:
            collisions.append(f"{names}: would become {target}, the folder of others; rename it")
        else:
            kept += rivals
    return kept, collisions
