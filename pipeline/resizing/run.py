"""The `resize` stage: originals of every kind become shards of equal, lossless squares."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import PipelineError, some_of
from pipeline.files import write_text
from pipeline.fingerprints import code_of, combined, image_versions
from pipeline.images.records import INDEX_FILE, POSTS_FILE, Post, read_posts
from pipeline.images.shards import shard_name
from pipeline.params import ResizeParams
from pipeline.progress import Progress, Silent
from pipeline.resizing.executors import dask, processes
from pipeline.resizing.shard import (
    Refusal,
    ShardResult,
    ShardTask,
    make_images,
    make_shard,
)
from pipeline.resizing.shard_cache import EarlierImages

# Params that leave the bytes of an image as they are.
_INDIFFERENT = ("max_refused", "shard_size", "workers", "executor", "scheduler")


@dataclass(frozen=True)
class ResizeReport:
    """What became of the originals; `bytes` is the size of all shards."""

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
    store: Path,
    progress: Progress = Silent(),  # noqa: B008
) -> ResizeReport:
    """Turn the originals in `raw` into shards and their index in `resized`.

    The bytes written depend on params and originals alone: not on the number of workers, nor on
    what `store` keeps of earlier runs, so that their images need not be made again. Raises
    `PipelineError` where there are no originals, where some are not what `posts.jsonl` tells, where
    nothing can be written, or, after the report is written, where too many originals are refused.
    """
    originals = read_posts(raw)
    try:
        earlier = EarlierImages(store, _fingerprint(params))
        written = _write_shards(params, originals, raw, resized, earlier, progress)
        _refuse_differing(written.differing, raw)
        result = _count(originals, written, resized)
        write_text(report, _json(result))
        _judge(params, result, raw, report)
        lines = (json.dumps(line, sort_keys=True) + "\n" for line in written.lines)
        write_text(resized / INDEX_FILE, "".join(lines))
        earlier.forget_others()
    except OSError as error:
        raise PipelineError(f"{resized}, {report}: cannot be written: {error}") from None
    return result


def _fingerprint(params: ResizeParams) -> str:
    """Names everything that decides an image's bytes, given its original."""
    return combined(
        {
            "params": params.model_dump(exclude=set(_INDIFFERENT)),
            "code": code_of(make_images.__module__),
            "versions": image_versions(),
        }
    )


def _write_shards(
    params: ResizeParams,
    originals: list[Post],
    raw: Path,
    resized: Path,
    earlier: EarlierImages,
    progress: Progress,
) -> ShardResult:
    """Write all shards to `resized` and remove whatever else earlier runs left there."""
    resized.mkdir(parents=True, exist_ok=True)
    # Shards change before the index does: without it, nobody takes an unfinished folder for whole.
    (resized / INDEX_FILE).unlink(missing_ok=True)
    tasks = [
        ShardTask(
            params,
            raw.resolve(),
            resized.resolve() / shard_name(number),
            part,
            earlier.among(original.sha256 for original in part),
            _workers(params) if params.executor == "thread" else 1,
        )
        for number, part in enumerate(_parts(originals, params.shard_size))
    ]
    whole = ShardResult([], [], [])
    progress.start("resize", len(originals), "images")
    try:
        for task, result in zip(tasks, _results(params, tasks, progress), strict=True):
            if result.lines:
                earlier.keep(task.path, result.lines)
            whole.lines.extend(result.lines)
            whole.refusals.extend(result.refusals)
            whole.differing.extend(result.differing)
    finally:
        progress.finish()
    _remove_others(resized, {str(line["shard"]) for line in whole.lines})
    return whole


def _parts(originals: list[Post], size: int) -> Iterator[tuple[Post, ...]]:
    """The originals of each shard: which they are hangs on nothing that is computed."""
    for start in range(0, len(originals), size):
        yield tuple(originals[start : start + size])


def _workers(params: ResizeParams) -> int:
    return params.workers or os.cpu_count() or 1


def _results(
    params: ResizeParams, tasks: list[ShardTask], progress: Progress
) -> Iterator[ShardResult]:
    """The shards' results in their order, made where `params.executor` says."""
    made = refused = 0

    def tell(seen: int, lost: int) -> None:
        progress.update(made + seen, refused=refused + lost)

    here = params.executor == "thread"
    results = (make_shard(task, tell) for task in tasks) if here else _elsewhere(params, tasks)
    for task, result in zip(tasks, results, strict=True):
        made += len(task.originals)
        refused += len(result.refusals)
        tell(0, 0)
        yield result


def _elsewhere(params: ResizeParams, tasks: list[ShardTask]) -> Iterator[ShardResult]:
    """Shards made side by side, each in one thread of some process."""
    workers = _workers(params)
    pool = processes(workers) if params.executor == "process" else dask(params.scheduler, workers)
    with pool as executor:
        futures = [executor.submit(make_shard, task) for task in tasks]
        for future in futures:
            try:
                yield future.result()
            except BrokenProcessPool:
                raise PipelineError(
                    "resize: a process was killed, perhaps for want of memory; run again to go on, "
                    "with a lower resize.workers"
                ) from None


def _remove_others(resized: Path, names: set[str]) -> None:
    """Remove the shards of earlier runs, and what kills left behind."""
    for path in [*resized.glob("shard-*.tar"), *resized.glob(".*.tmp")]:
        if path.name not in names:
            with suppress(FileNotFoundError):
                path.unlink()


def _refuse_differing(files: list[str], raw: Path) -> None:
    if not files:
        return
    raise PipelineError(
        f"{raw}: missing, or not what {POSTS_FILE} tells (sha256): {some_of(files)}; "
        "run pipeline scrape --check, then pipeline scrape"
    )


def _count(originals: list[Post], written: ShardResult, resized: Path) -> ResizeReport:
    names = {str(line["shard"]) for line in written.lines}
    return ResizeReport(
        originals=len(originals),
        images=len(written.lines),
        shards=len(names),
        bytes=sum((resized / name).stat().st_size for name in names),
        refused=dict(sorted(Counter(refusal.reason for refusal in written.refusals).items())),
        refusals=written.refusals,
    )


def _json(result: ResizeReport) -> str:
    values = vars(result) | {"refusals": [vars(refusal) for refusal in result.refusals]}
    return json.dumps(values, indent=2, ensure_ascii=False) + "\n"


def _judge(params: ResizeParams, result: ResizeReport, raw: Path, report: Path) -> None:
    count = len(result.refusals)
    reasons = ", ".join(f"{reason} {number}" for reason, number in result.refused.items())
    if count > params.max_refused * result.originals:
        raise PipelineError(
            f"{raw}: {count} of {result.originals} originals are refused ({reasons}), more than "
            f"resize.max_refused {params.max_refused} allows; {report} lists them"
        )
    if not result.images:
        raise PipelineError(f"{raw}: every original is refused ({reasons}); {report} lists them")
