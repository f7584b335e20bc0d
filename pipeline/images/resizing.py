"""The `resize` stage: originals of every kind become shards of equal, lossless squares."""

import hashlib
import json
import os
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import TypeVar

import imagehash
from PIL import Image

from pipeline.errors import PipelineError
from pipeline.files import write_text
from pipeline.images.decode import ImageRefused, decode
from pipeline.images.earlier import ORIGINAL, EarlierImages
from pipeline.images.geometry import fit
from pipeline.images.quality import colourfulness, contrast
from pipeline.images.records import INDEX_FILE, Post, read_posts
from pipeline.images.shards import Member, encode, shard_name, write_shard
from pipeline.params import ResizeParams
from pipeline.progress import Progress, Silent

# To be raised with any change of the code that changes an image's bytes or facts.
_VERSION = 1

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Refusal:
    """An original that became no image: `reason` is a key to count by."""

    id: int
    file: str
    reason: str
    text: str


@dataclass(frozen=True)
class ResizeReport:
    """What became of the originals; `bytes` is the size of all shards."""

    originals: int
    images: int
    shards: int
    bytes: int
    refused: dict[str, int]
    refusals: list[Refusal]


@dataclass
class _Written:
    """What the pool has given so far."""

    lines: list[dict[str, object]] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)


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
    `PipelineError` where there are no originals, where nothing can be written, or, after the report
    is written, where too many originals are refused.
    """
    originals = read_posts(raw)
    try:
        earlier = EarlierImages(store, _fingerprint(params))
        written = _write_shards(params, originals, raw, resized, earlier, progress)
        result = _count(originals, written, resized)
        write_text(report, _json(result))
        _judge(params, result, raw, report)
        lines = (json.dumps(line, sort_keys=True) + "\n" for line in written.lines)
        write_text(resized / INDEX_FILE, "".join(lines))
        earlier.forget_others()
    except OSError as error:
        raise PipelineError(f"{resized}, {report}: cannot be written: {error}") from None
    return result


def make_member(params: ResizeParams, raw: Path, original: Post) -> Member | Refusal:
    """Decode, fit, hash and encode one original."""
    try:
        decoded = decode(raw / original.file, params.max_pixels, params.background)
        fitted = fit(decoded.pixels, params.size, params.mode, params.background)
    except ImageRefused as refused:
        return Refusal(original.id, original.file, refused.reason, refused.text)
    facts = {
        "id": original.id,
        "sha256": hashlib.sha256(fitted.pixels.tobytes()).hexdigest(),
        "phash": str(imagehash.phash(Image.fromarray(fitted.pixels))),
        "original_width": decoded.pixels.shape[1],
        "original_height": decoded.pixels.shape[0],
        "original_format": decoded.format,
        ORIGINAL: original.sha256,
        "scale": fitted.scale,
        "crop_box": list(fitted.crop_box),
        "jpeg_quality": decoded.jpeg.quality if decoded.jpeg else None,
        "jpeg_subsampling": decoded.jpeg.subsampling if decoded.jpeg else None,
        "contrast": contrast(fitted.pixels),
        "colourfulness": colourfulness(fitted.pixels),
    }
    return Member(original.id, encode(fitted.pixels), facts)


def _fingerprint(params: ResizeParams) -> str:
    """Names everything that decides an image's bytes, given its original."""
    shaping = params.model_dump(exclude={"max_refused", "shard_size", "workers"})
    text = json.dumps({"version": _VERSION, **shaping}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _write_shards(
    params: ResizeParams,
    originals: list[Post],
    raw: Path,
    resized: Path,
    earlier: EarlierImages,
    progress: Progress,
) -> _Written:
    """Write all shards to `resized` and remove whatever else earlier runs left there."""
    resized.mkdir(parents=True, exist_ok=True)
    # Shards change before the index does: without it, nobody takes an unfinished folder for whole.
    (resized / INDEX_FILE).unlink(missing_ok=True)
    written = _Written()
    progress.start("resize", len(originals), "images")
    try:
        # Pillow warns of damaged metadata, and of sizes that `max_pixels` judges. Around all the
        # threads, because filters belong to the process.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            members = _accepted(params, originals, raw, earlier, written, progress)
            for number, first in enumerate(members):
                part = chain([first], islice(members, params.shard_size - 1))
                shard = resized / shard_name(number)
                lines = list(_write_shard(shard, part))
                earlier.keep(shard, lines)
                written.lines.extend(lines)
    finally:
        progress.finish()
    _remove_others(resized, {str(line["shard"]) for line in written.lines})
    return written


def _accepted(
    params: ResizeParams,
    originals: list[Post],
    raw: Path,
    earlier: EarlierImages,
    written: _Written,
    progress: Progress,
) -> Iterator[Member]:
    """The images in the order of their originals; refusals go to `written`."""

    def work(original: Post) -> Member | Refusal:
        found = earlier.find(original.sha256, original.id)
        return found or make_member(params, raw, original)

    workers = params.workers or os.cpu_count() or 1
    for done, result in enumerate(_in_order(work, originals, workers), 1):
        if isinstance(result, Refusal):
            written.refusals.append(result)
        progress.update(done, refused=len(written.refusals))
        if isinstance(result, Member):
            yield result


def _write_shard(path: Path, members: Iterable[Member]) -> Iterator[dict[str, object]]:
    """Write one shard; the lines of its images in the index."""
    facts: list[dict[str, object]] = []
    places = write_shard(path, _noting(members, facts))
    for fact, (offset, length) in zip(facts, places, strict=True):
        yield fact | {"shard": path.name, "offset": offset, "length": length}


def _noting(members: Iterable[Member], facts: list[dict[str, object]]) -> Iterator[Member]:
    """Pass `members` on one by one, so that a shard is never in memory as a whole."""
    for member in members:
        facts.append(dict(member.facts))
        yield member


def _in_order(work: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """Results of `work` in the order of `items`, computed by threads that run little ahead."""
    pool = ThreadPoolExecutor(workers)
    pending: deque[Future[R]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) > 2 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _remove_others(resized: Path, names: set[str]) -> None:
    """Remove the shards of earlier runs, and what kills left behind."""
    for path in [*resized.glob("shard-*.tar"), *resized.glob(".*.tmp")]:
        if path.name not in names:
            with suppress(FileNotFoundError):
                path.unlink()


def _count(originals: list[Post], written: _Written, resized: Path) -> ResizeReport:
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
