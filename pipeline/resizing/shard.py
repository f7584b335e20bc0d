"""One shard's work, from originals to a tar file: any process on the same files can do it."""

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
from pipeline.resizing.shard_cache import ORIGINAL, WEBP, Found, Webp

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
    """The originals in `raw` that become the shard `path`, computed by `threads`.

    What `earlier` finds is not made again.
    """

    params: ResizeParams
    raw: Path
    path: Path
    originals: tuple[Post, ...]
    earlier: Found
    threads: int


@dataclass(frozen=True)
class ShardResult:
    """The index's lines of the shard's images, and the originals that became none.

    `differing` are the originals whose files are not what `posts.jsonl` tells, or are missing.
    """

    lines: list[dict[str, object]]
    refusals: list[Refusal]
    differing: list[str]


class OriginalDiffers(Exception):  # noqa: N818 - a verdict, like `ImageRefused`
    """An original's file is missing, or has another sha256 than `posts.jsonl` tells."""


def make_shard(
    task: ShardTask, tell: Callable[[int, int], None] = lambda seen, refused: None
) -> ShardResult:
    """Write a whole shard, or none where every original is refused.

    The bytes depend on the originals and the params alone. `tell` hears after each original how
    many of the shard's were seen, and how many of them refused.
    """
    refusals: list[Refusal] = []
    differing: list[str] = []
    facts: list[Mapping[str, object]] = []

    def members() -> Iterator[Member]:
        # One by one, so that a shard is never in memory as a whole.
        for seen, result in enumerate(_in_order(work, task.originals, task.threads), 1):
            if isinstance(result, Refusal):
                refusals.append(result)
            elif isinstance(result, str):
                differing.append(result)
            tell(seen, len(refusals))
            if isinstance(result, list):
                facts.extend(member.facts for member in result)
                yield from result

    def work(original: Post) -> list[Member] | Refusal | str:
        try:
            found = task.earlier.find(original.sha256)
            images = found or make_images(task.params, task.raw, original)
        except OriginalDiffers:
            return original.file
        return images if isinstance(images, Refusal) else _named(images, original.id)

    # Pillow warns of damaged metadata, and of sizes that `max_pixels` judges. Around all the
    # threads, because filters belong to the process.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        places = write_shard(task.path, members())
    if not places:
        task.path.unlink()
    lines = [
        {**fact, "shard": task.path.name, "offset": offset, "length": length}
        for fact, (offset, length) in zip(facts, places, strict=True)
    ]
    return ShardResult(lines, refusals, differing)


def make_images(params: ResizeParams, raw: Path, original: Post) -> list[Webp] | Refusal:
    """Decode, fit, measure, hash and encode one original of `raw`.

    Raises `OriginalDiffers`, or `PipelineError` where the machine fails.
    """
    path = raw / original.file
    try:
        decoded = decode(_read(path, original.sha256), params.max_pixels, params.background)
        fitted = fit(decoded.pixels, params)
        return [_encoded(decoded, part, original.sha256) for part in fitted]
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
    """The bytes of a file that must have this hash: disks lose some, and files are edited."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise OriginalDiffers from None
    if hashlib.sha256(data).hexdigest() != sha256:
        raise OriginalDiffers
    return data


def _named(images: Sequence[Webp], id: int) -> list[Member]:
    """The images of a post as members of a shard, numbered in their order."""
    return [
        Member(
            f"{id:09d}-{tile}" if tile else f"{id:09d}",
            image.data,
            {**image.facts, "id": id, "tile": tile},
        )
        for tile, image in enumerate(images)
    ]


def _encoded(decoded: Decoded, fitted: Fitted, original_sha256: str) -> Webp:
    webp = encode(fitted.pixels)
    facts = {
        "sha256": hashlib.sha256(fitted.pixels.tobytes()).hexdigest(),
        "phash": str(imagehash.phash(Image.fromarray(fitted.pixels))),
        "original_width": decoded.pixels.shape[1],
        "original_height": decoded.pixels.shape[0],
        "original_format": decoded.format,
        ORIGINAL: original_sha256,
        WEBP: hashlib.sha256(webp).hexdigest(),
        "scale": fitted.scale,
        "crop_box": list(fitted.crop_box),
        "jpeg_quality": decoded.jpeg.quality if decoded.jpeg else None,
        "jpeg_subsampling": decoded.jpeg.subsampling if decoded.jpeg else None,
        "contrast": contrast(fitted.pixels),
        "colourfulness": colourfulness(fitted.pixels),
    }
    return Webp(webp, facts)


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
