"""The plan of a batch: which picture becomes which file, and in which format."""

from collections import Counter
from collections.abc import Container, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import UsageError
from pipeline.upscaling.encoding import Encoding
from pipeline.upscaling.formats import FORMAT_BY_SUFFIX, PICTURE_SUFFIXES

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
    """The jobs of a call, and the pictures that get none, as they are the results of others."""

    jobs: list[Job]
    left_out: list[Path]


def plan_jobs(inputs: Sequence[Path], output: Path | None, format: str, suffix: str) -> Plan:
    """Return one job for each picture of `inputs`, which are pictures and folders of pictures.

    A single picture becomes the file `output`, or without it a file beside itself whose name ends
    in `suffix`. In a folder `output` every picture keeps its name, and its path below the folder
    that it came from. Without `output` the results of a folder go to one beside it whose name ends
    in `suffix`. Pictures that have `suffix` in their path, and are so the results of others of
    `inputs`, get no job. Raises `UsageError`.
    """
    if PIPE in inputs or output == PIPE:
        return Plan(_plan_pipe(inputs, output), [])
    folders = [path for path in inputs if _is_folder(path)]
    single = len(inputs) == 1 and not folders
    if output is not None and single and output.suffix and not _is_folder(output):
        jobs, left_out = [Job(inputs[0], _checked_file(output))], []
    else:
        if output is not None and (output.is_file() or output.suffix.lower() in FORMAT_BY_SUFFIX):
            raise UsageError(f"--output: {output} is a file, for one picture; name a folder")
        targets = _targets(inputs, folders, output, suffix)
        left_out = _results_among([source for source, _ in targets], suffix)
        results = set(left_out)
        targets = [target for target in targets if target[0] not in results]
        name_suffix = suffix if output is None else ""
        jobs = _jobs(targets, set(inputs), name_suffix, f".{format}")
    _refuse_collisions(jobs)
    return Plan(jobs, left_out)


def _results_among(pictures: Sequence[Path], suffix: str) -> list[Path]:
    """Return the pictures that earlier calls made of others of `pictures`, in any format.

    A result has `suffix` at the end of its name's stem, or of the name of a folder that holds it.
    """
    sources = {path.parent / name for path in pictures for name in (_stem(path), path.name)}

    def is_result(path: Path) -> bool:
        parts = (*path.parent.parts, _stem(path))
        return any(
            part.endswith(suffix)
            and Path(*parts[:at], part.removesuffix(suffix), *parts[at + 1 :]) in sources
            for at, part in enumerate(parts)
            if part != suffix
        )

    return [path for path in pictures if is_result(path)]


def _plan_pipe(inputs: Sequence[Path], output: Path | None) -> list[Job]:
    if len(inputs) > 1:
        raise UsageError("-: a pipe holds one picture; name no others beside it")
    if output is not None and output != PIPE:
        _checked_file(output)
    return [Job(inputs[0], output or PIPE)]


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError as error:
        raise UsageError(f"{str(path)[:60]}: {error.strerror}") from None


def _checked_file(output: Path) -> Path:
    if output.suffix.lower() not in FORMAT_BY_SUFFIX:
        raise UsageError(f"--output: {output}: unknown ending; use {', '.join(FORMAT_BY_SUFFIX)}")
    return output


def _targets(
    inputs: Sequence[Path], folders: Container[Path], output: Path | None, suffix: str
) -> list[tuple[Path, Path]]:
    """Return each picture and its target, which still has the picture's own suffix."""
    targets: list[tuple[Path, Path]] = []
    for path in inputs:
        if path in folders:
            results = output or _sibling_folder(path, suffix)
            pictures = _pictures_in(path, results)
            targets += [(picture, results / picture.relative_to(path)) for picture in pictures]
        else:
            targets.append((path, (output or path.parent) / path.name))
    return targets


def _sibling_folder(folder: Path, suffix: str) -> Path:
    named = folder if folder.name not in ("", "..") else folder.resolve()
    if not named.name:
        raise UsageError(f"{folder}: has nothing beside it; name a folder with --output")
    return named.with_name(named.name + suffix)


def _pictures_in(folder: Path, results: Path) -> list[Path]:
    """Return the pictures of a folder, without hidden files and those below `results`."""
    top, inner = folder.resolve(), results.resolve()
    if inner == top:
        raise UsageError(f"--output: {results} is the folder itself; name another")
    excluded = inner.relative_to(top).parts if inner.is_relative_to(top) else None
    pictures = []
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        is_hidden = any(part.startswith(".") for part in parts)
        is_result = excluded is not None and parts[: len(excluded)] == excluded
        if is_hidden or is_result:
            continue
        if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file():
            pictures.append(path)
    if not pictures:
        raise UsageError(f"{folder}: holds no picture ({', '.join(sorted(PICTURE_SUFFIXES))})")
    return pictures


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
            if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file():
                yield folder, _stem(path)


def _stem(path: Path) -> str:
    """Return the name without its suffix, if that is one of pictures: a title may have dots."""
    return path.stem if path.suffix.lower() in PICTURE_SUFFIXES else path.name


def _refuse_collisions(jobs: list[Job]) -> None:
    sources = {job.source.resolve() for job in jobs}
    counts = Counter(job.target for job in jobs)
    for job in jobs:
        if counts[job.target] > 1:
            raise UsageError(f"--output: two pictures would become {job.target}; name them apart")
        if job.target.resolve() in sources:
            raise UsageError(f"--output: {job.target} is one of the pictures; name another folder")
