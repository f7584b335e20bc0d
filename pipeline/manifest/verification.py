"""Compare the images in the shards with the manifest."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.images.quality import perceptual_hashes
from pipeline.images.shards import read_image
from pipeline.machine_limits import usable_cores
from pipeline.manifest.rows import Row, read_manifest
from pipeline.progress import Progress, Silent

_MAX_LISTED = 10


def check_manifest(
    manifest: Path,
    resized: Path,
    progress: Progress = Silent(),
) -> int:
    """Decode the image of every row and compare its hashes; return how many rows there are.

    Raises `PipelineError` where there is no manifest, or one that lists the first wrong rows, one
    per line, and counts them all.
    """
    if not manifest.exists():
        raise PipelineError(
            f"{manifest}: not found; pipeline manifest writes it, of what pipeline resize has made"
        )
    rows = read_manifest(manifest)
    problems: list[str] = []
    progress.start("check", len(rows), "images")
    try:
        for done, problem in enumerate(_problems(resized, rows), 1):
            if problem:
                problems.append(problem)
            progress.update(done, wrong=len(problems))
    finally:
        progress.finish()
    if problems:
        listed = "\n".join(problems[:_MAX_LISTED])
        raise PipelineError(
            f"{listed}\n{manifest}: {len(problems)} of {len(rows)} rows are wrong; "
            f"remove {resized} and run pipeline resize and pipeline manifest again"
        )
    return len(rows)


def _problems(resized: Path, rows: list[Row]) -> Iterator[str | None]:
    with ThreadPoolExecutor(usable_cores()) as pool:
        yield from pool.map(partial(_problem, resized), rows)


def _problem(resized: Path, row: Row) -> str | None:
    """Describe what is wrong with one row; None if nothing is."""
    try:
        pixels = read_image(resized, row)
    except PipelineError as error:
        return f"id {row.name}: {error}"
    image = f"id {row.name}: {resized / row.shard}: the image at byte {row.offset}"
    if perceptual_hashes(pixels)[0] != row.phash:
        return f"{image} has another perceptual hash"
    return None
