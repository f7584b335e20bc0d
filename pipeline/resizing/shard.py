"""Make one shard from its originals; any process that sees the same files can do it."""

import hashlib
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import imagehash
from PIL import Image

from pipeline.errors import PipelineError
from pipeline.images.decode import Decoded, ImageRefused, decode
from pipeline.images.quality import colourfulness, contrast
from pipeline.images.records import Post
from pipeline.images.shards import Member, encode, write_shard
from pipeline.machine_errors import fault_text, is_machine_fault, is_memory_fault
from pipeline.params import ResizeParams
from pipeline.resizing.geometry import Fitted, fit
from pipeline.resizing.shard_cache import (
    ORIGINAL_SHA256,
    WEBP_SHA256,
    CacheSubset,
    EncodedImage,
)

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
    """The index's lines of a shard's images, and the originals that became none.

    `differing` are the names of originals whose files are missing or have another sha256 than
    `posts.jsonl` lists.
    """

    lines: list[dict[str, object]]
    refusals: list[Refusal]
    differing: list[str]


class OriginalDiffers(Exception):  # noqa: N818 - a verdict, like `ImageRefused`
    """An original's file is missing, or has another sha256 than `posts.jsonl` lists."""


def make_shard(
    task: ShardTask, on_progress: Callable[[int, int], None] = lambda done, refused: None
) -> ShardResult:
    """Write one shard, or none where every original is refused.

    The bytes depend on the originals and the params alone. `on_progress` is called after each
    original with the number of the shard's originals that are done, and how many of them were
    refused. Raises `PipelineError` where the machine fails.
    """
    refusals: list[Refusal] = []
    differing: list[str] = []
    facts: list[Mapping[str, object]] = []

    def members() -> Iterator[Member]:
        # One by one, so that memory never holds an entire shard.
        for done, result in enumerate(_in_order(work, task.originals, task.threads), 1):
            if isinstance(result, Refusal):
                refusals.append(result)
            elif isinstance(result, str):
                differing.append(result)
            on_progress(done, len(refusals))
            if isinstance(result, list):
                facts.extend(member.facts for member in result)
                yield from result

    def work(original: Post) -> list[Member] | Refusal | str:
        try:
            cached = task.cached.read(original.sha256)
            images = cached or make_images(task.params, task.raw, original)
        except OriginalDiffers:
            return original.file
        return images if isinstance(images, Refusal) else _members(images, original.id)

    # Pillow warns of damaged metadata, and of sizes that `max_pixels` decides on. Around all the
    # threads, because filters belong to the process.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        extents = write_shard(task.path, members())
    if not extents:
        task.path.unlink()
    lines = [
        {**fact, "shard": task.path.name, "offset": offset, "length": length}
        for fact, (offset, length) in zip(facts, extents, strict=True)
    ]
    return ShardResult(lines, refusals, differing)


def make_images(params: ResizeParams, raw: Path, original: Post) -> list[EncodedImage] | Refusal:
    """Decode one original of `raw`; fit, measure, hash and encode the images made from it.

    Raises `OriginalDiffers`, or `PipelineError` where the machine fails.
    """
    path = raw / original.file
    try:
        decoded = decode(_read(path, original.sha256), params.max_pixels, params.background)
        squares = fit(decoded.pixels, params)
        return [_encode(decoded, square, original.sha256) for square in squares]
    except ImageRefused as refused:
        return Refusal(original.id, original.file, refused.reason, refused.text)
    except (MemoryError, OSError, RuntimeError) as error:
        if not is_machine_fault(error):
            raise
        advice = "lower resize.workers" if is_memory_fault(error) else "mend that"
        raise PipelineError(
            f"{path}: cannot be read or decoded: {fault_text(error)}; {advice}, "
            "then run pipeline resize again"
        ) from None


def _read(path: Path, sha256: str) -> bytes:
    """Return a file's bytes; raise `OriginalDiffers` unless they have this hash."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise OriginalDiffers from None
    if hashlib.sha256(data).hexdigest() != sha256:
        raise OriginalDiffers
    return data


def _members(images: Sequence[EncodedImage], id: int) -> list[Member]:
    """Return the images of a post as members of a shard, numbered in their order."""
    return [
        Member(
            f"{id:09d}-{tile}" if tile else f"{id:09d}",
            image.webp,
            {**image.facts, "id": id, "tile": tile},
        )
        for tile, image in enumerate(images)
    ]


def _encode(decoded: Decoded, fitted: Fitted, original_sha256: str) -> EncodedImage:
    webp = encode(fitted.pixels)
    facts = {
        "sha256": hashlib.sha256(fitted.pixels.tobytes()).hexdigest(),
        "phash": str(imagehash.phash(Image.fromarray(fitted.pixels))),
        "original_width": decoded.pixels.shape[1],
        "original_height": decoded.pixels.shape[0],
        "original_format": decoded.format,
        ORIGINAL_SHA256: original_sha256,
        WEBP_SHA256: hashlib.sha256(webp).hexdigest(),
        "scale": fitted.scale,
        "crop_box": list(fitted.crop_box),
        "jpeg_quality": decoded.jpeg.quality if decoded.jpeg else None,
        "jpeg_subsampling": decoded.jpeg.subsampling if decoded.jpeg else None,
        "contrast": contrast(fitted.pixels),
        "colourfulness": colourfulness(fitted.pixels),
    }
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
