"""Make one shard from its originals; any process that sees the same files can do it."""

import hashlib
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from pipeline.errors import PipelineError
from pipeline.images.decode import Decoded, ImageRefused, decode
from pipeline.images.quality import colourfulness, contrast, perceptual_hashes
from pipeline.images.records import ImageFacts, ImageRecord, Post
from pipeline.images.shards import Member, encode_webp, pixels_sha256, shard_writer
from pipeline.machine_errors import fault_text, is_machine_fault, is_memory_fault
from pipeline.params import ResizeParams
from pipeline.resizing.geometry import Fitted, fit
from pipeline.resizing.shard_cache import CacheSubset, EncodedImage

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
class ShardTask:
    """The originals in `raw` that become the shard `path`, and how many `threads` make it.

    Images that are `cached` are not made again.
    """

    params: ResizeParams
    raw: Path
    path: Path
    originals: tuple[Post, ...]
    cached: CacheSubset
    threads: int


@dataclass(frozen=True)
class ShardResult:
    """A shard's images, and the originals that became none.

    `changed_files` are the names of originals whose files are missing or have another sha256 than
    `posts.jsonl` lists.
    """

    images: list[ImageRecord]
    refusals: list[Refusal]
    changed_files: list[str]


@dataclass(frozen=True)
class _Outcome:
    """What became of an original: images, a refusal, or neither, where its file has changed."""

    images: Sequence[EncodedImage] = ()
    refusal: Refusal | None = None
    has_changed: bool = False


class OriginalChanged(Exception):  # noqa: N818 - a verdict, like `ImageRefused`
    """An original's file is missing, or has another sha256 than `posts.jsonl` lists."""


def make_shard(
    task: ShardTask, on_progress: Callable[[int, int], None] = lambda done, refused: None
) -> ShardResult:
    """Write one shard, or none where every original is refused.

    The bytes depend on the originals and the params alone. `on_progress` is called after each
    original with the number of the shard's originals that are done, and how many of them were
    refused. Raises `PipelineError` where the machine fails, `OSError` where the shard cannot be
    written.
    """
    result = ShardResult([], [], [])
    outcomes = _in_order(partial(_outcome, task), task.originals, task.threads)
    # Pillow warns of damaged metadata, and of sizes that `max_pixels` decides on. Around all the
    # threads, because filters belong to the process.
    with warnings.catch_warnings(action="ignore"), shard_writer(task.path) as add:
        # One by one, so that memory never holds an entire shard.
        for done, (original, outcome) in enumerate(zip(task.originals, outcomes, strict=True), 1):
            if outcome.refusal is not None:
                result.refusals.append(outcome.refusal)
            if outcome.has_changed:
                result.changed_files.append(original.file)
            on_progress(done, len(result.refusals))
            for tile, image in enumerate(outcome.images):
                offset = add(_member(image, original.id, tile))
                record = ImageRecord(
                    **vars(image.facts),
                    id=original.id,
                    tile=tile,
                    shard=task.path.name,
                    offset=offset,
                    length=len(image.webp),
                )
                result.images.append(record)
    if not result.images:
        task.path.unlink()
    return result


def _outcome(task: ShardTask, original: Post) -> _Outcome:
    try:
        cached = task.cached.read(original.sha256)
        return _Outcome(cached or make_images(task.params, task.raw, original))
    except ImageRefused as refused:
        refusal = Refusal(original.id, original.file, refused.reason, refused.text)
        return _Outcome(refusal=refusal)
    except OriginalChanged:
        return _Outcome(has_changed=True)


def make_images(params: ResizeParams, raw: Path, original: Post) -> list[EncodedImage]:
    """Decode one original of `raw`; fit, measure, hash and encode the images made from it.

    Raises `ImageRefused`, `OriginalChanged`, or `PipelineError` where the machine fails.
    """
    path = raw / original.file
    try:
        decoded = decode(_read(path, original.sha256), params.max_pixels, params.background)
        squares = fit(decoded.pixels, params)
        return [_encode(decoded, square, original.sha256) for square in squares]
    except (MemoryError, OSError, RuntimeError) as error:
        if not is_machine_fault(error):
            raise
        advice = "lower resize.workers" if is_memory_fault(error) else "fix this"
        raise PipelineError(
            f"{path}: cannot be read or decoded: {fault_text(error)}; {advice}, "
            "then run pipeline resize again"
        ) from None


def _read(path: Path, sha256: str) -> bytes:
    """Return a file's bytes; raise `OriginalChanged` unless they have this hash."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise OriginalChanged from None
    if hashlib.sha256(data).hexdigest() != sha256:
        raise OriginalChanged
    return data


def _member(image: EncodedImage, id: int, tile: int) -> Member:
    name = f"{id:09d}-{tile}" if tile else f"{id:09d}"
    return Member(name, image.webp, {**vars(image.facts), "id": id, "tile": tile})


def _encode(decoded: Decoded, fitted: Fitted, original_sha256: str) -> EncodedImage:
    webp = encode_webp(fitted.pixels)
    phash, phash_mirrored = perceptual_hashes(fitted.pixels)
    facts = ImageFacts(
        sha256=pixels_sha256(fitted.pixels),
        phash=phash,
        phash_mirrored=phash_mirrored,
        original_width=decoded.pixels.shape[1],
        original_height=decoded.pixels.shape[0],
        original_format=decoded.format,
        original_sha256=original_sha256,
        webp_sha256=hashlib.sha256(webp).hexdigest(),
        scale=fitted.scale,
        crop_box=fitted.crop_box,
        jpeg_quality=decoded.jpeg.quality if decoded.jpeg else None,
        jpeg_subsampling=decoded.jpeg.subsampling if decoded.jpeg else None,
        contrast=contrast(fitted.pixels),
        colourfulness=colourfulness(fitted.pixels),
    )
    return EncodedImage(webp, facts)


def _in_order(work: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """Yield the results of `work` in the order of `items`, computed a few items ahead."""
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
