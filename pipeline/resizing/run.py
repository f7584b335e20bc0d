"""The resize stage: originals of any format become shards of lossless squares of one size."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.errors import PipelineError, some_of
from pipeline.files import write_text, writing
from pipeline.fingerprints import code_of, image_versions, short_hash
from pipeline.images.records import INDEX_FILE, POSTS_FILE, Post, read_posts
from pipeline.images.shards import shard_name
from pipeline.machine_limits import usable_cores
from pipeline.params import ResizeParams
from pipeline.progress import Progress, Silent
from pipeline.resizing.executors import dask_executor, process_pool
from pipeline.resizing.shard import (
    Refusal,
    ShardResult,
    ShardTask,
    make_images,
    make_shard,
)
from pipeline.resizing.shard_cache import ShardCache

# Params that do not change the bytes of an image.
_NOT_IN_FINGERPRINT = ("max_refused", "shard_size", "workers", "executor", "scheduler")


@dataclass(frozen=True)
class ResizeReport:
    """Counts, and the originals that were refused; `bytes` is the size of all shards."""

    originals: int
    images: int
    shards: int
    bytes: int
    refused: dict[str, int]
    refusals: list[Refusal]


def resize(
    params: ResizeParams,
    raw: Path,
    resized: Path,
    report: Path,
    cache_folder: Path,
    progress: Progress = Silent(),
) -> ResizeReport:
    """Turn the originals in `raw` into shards and their index in `resized`.

    The bytes written depend on params and originals alone: not on the number of workers, nor on
    `cache_folder`, which holds the images of earlier runs. Originals whose images it holds are not
    read. Raises `PipelineError` where there are no originals, where one that is read does not have
    the sha256 that `posts.jsonl` lists, where a file cannot be written, or, after the report is
    written, where too many originals are refused.
    """
    originals = read_posts(raw)
    with writing(cache_folder):
        cache = ShardCache(cache_folder, _fingerprint(params))
    with writing(resized):
        written = _write_shards(params, originals, raw, resized, cache, progress)
        shards = {image.shard for image in written.images}
        _remove_others(resized, shards)
    _check_hashes(written.changed_files, raw)
    with writing(resized):
        result = _summary(originals, written, [resized / name for name in shards])
    with writing(report):
        write_text(report, _json(result))
    _check_refusals(params, result, raw, report)
    lines = (json.dumps(vars(image), sort_keys=True) + "\n" for image in written.images)
    with writing(resized):
        write_text(resized / INDEX_FILE, "".join(lines))
    with writing(cache_folder):
        cache.prune()
    return result


def _fingerprint(params: ResizeParams) -> str:
    """Return a hash of everything but the original that determines an image's bytes."""
    return short_hash(
        {
            "params": params.model_dump(exclude=set(_NOT_IN_FINGERPRINT)),
            "code": code_of(make_images.__module__),
            "versions": image_versions(),
        }
    )


def _write_shards(
    params: ResizeParams,
    originals: list[Post],
    raw: Path,
    resized: Path,
    cache: ShardCache,
    progress: Progress,
) -> ShardResult:
    """Write all shards to `resized` and link them into the cache."""
    resized.mkdir(parents=True, exist_ok=True)
    # Shards change before the index does: a folder without it is unfinished.
    (resized / INDEX_FILE).unlink(missing_ok=True)
    tasks = [
        ShardTask(
            params,
            raw.resolve(),
            resized.resolve() / shard_name(number),
            part,
            cache.subset(original.sha256 for original in part),
            _workers(params) if params.executor == "thread" else 1,
        )
        for number, part in enumerate(_shards(originals, params.shard_size))
    ]
    results: list[ShardResult] = []
    progress.start("resize", len(originals), "images")
    try:
        for task, result in zip(tasks, _results(params, tasks, progress), strict=True):
            if result.images:
                with writing(cache.folder):
                    cache.add(task.path, result.images)
            results.append(result)
    finally:
        progress.finish()
    return ShardResult(
        [image for result in results for image in result.images],
        [refusal for result in results for refusal in result.refusals],
        [file for result in results for file in result.changed_files],
    )


def _shards(originals: list[Post], size: int) -> Iterator[tuple[Post, ...]]:
    """Yield the originals of each shard: `size` each, refused ones included."""
    for start in range(0, len(originals), size):
        yield tuple(originals[start : start + size])


def _workers(params: ResizeParams) -> int:
    return params.workers or usable_cores()


def _results(
    params: ResizeParams, tasks: list[ShardTask], progress: Progress
) -> Iterator[ShardResult]:
    """Yield the shards' results in their order, made by `params.executor`."""
    done = refused = 0

    def show(done_of_shard: int, refused_of_shard: int) -> None:
        progress.update(done + done_of_shard, refused=refused + refused_of_shard)

    results: Iterator[ShardResult] = (
        (make_shard(task, show) for task in tasks)
        if params.executor == "thread"
        else _results_of_processes(params, tasks)
    )
    for task, result in zip(tasks, results, strict=True):
        done += len(task.originals)
        refused += len(result.refusals)
        show(0, 0)
        yield result


def _results_of_processes(params: ResizeParams, tasks: list[ShardTask]) -> Iterator[ShardResult]:
    """Yield the results of shards that processes make in parallel, each in one thread."""
    workers = _workers(params)
    pool = (
        process_pool(workers)
        if params.executor == "process"
        else dask_executor(params.scheduler, workers)
    )
    with pool as executor:
        futures = [executor.submit(make_shard, task) for task in tasks]
        for future in futures:
            yield future.result()


def _remove_others(resized: Path, names: set[str]) -> None:
    """Remove shards with other names, and temporary files of killed runs."""
    for path in [*resized.glob("shard-*.tar"), *resized.glob(".*.tmp")]:
        if path.name not in names:
            with suppress(FileNotFoundError):
                path.unlink()


def _check_hashes(changed_files: list[str], raw: Path) -> None:
    """Raise `PipelineError` that names the originals that changed, if any."""
    if changed_files:
        raise PipelineError(
            f"{raw}: missing, or not what {POSTS_FILE} lists (sha256): {some_of(changed_files)}; "
            "run pipeline scrape --check, then pipeline scrape"
        )


def _summary(originals: list[Post], written: ShardResult, shards: list[Path]) -> ResizeReport:
    return ResizeReport(
        originals=len(originals),
        images=len(written.images),
        shards=len(shards),
        bytes=sum(shard.stat().st_size for shard in shards),
        refused=dict(sorted(Counter(refusal.reason for refusal in written.refusals).items())),
        refusals=written.refusals,
    )


def _json(result: ResizeReport) -> str:
    return json.dumps(asdict(result), indent=2, ensure_ascii=False) + "\n"


def _check_refusals(params: ResizeParams, result: ResizeReport, raw: Path, report: Path) -> None:
    count = len(result.refusals)
    reasons = ", ".join(f"{reason} {number}" for reason, number in result.refused.items())
    if count > params.max_refused * result.originals:
        raise PipelineError(
            f"{raw}: {count} of {result.originals} originals are refused ({reasons}), more than "
            f"resize.max_refused {params.max_refused} allows; {report} lists them"
        )
    if not result.images:
        raise PipelineError(f"{raw}: every original is refused ({reasons}); {report} lists them")
