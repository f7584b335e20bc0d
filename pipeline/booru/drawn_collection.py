"""Collect drawings as the pictures of the embedded booru, cached in a folder."""

import hashlib
import json
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from pipeline import drawings
from pipeline.errors import PipelineError
from pipeline.files import atomic_path, write_text
from pipeline.images.collection import BooruPicture, read_picture_file
from pipeline.locks import hold
from pipeline.machine_limits import usable_cores
from pipeline.processes import new_pool, start_worker
from pipeline.progress import Progress, Silent

_FIRST_CHANGE = 1_700_000_000
_CHANGE_STEP = 600


def collect_drawings(
    count: int,
    folder: Path,
    seed: int = 0,
    progress: Progress = Silent(),
) -> list[BooruPicture]:
    """Return `count` drawings, of the seeds from `seed` upward, cached in `folder`.

    `pipeline.drawings` draws missing ones in parallel; four of five are PNG, the others JPEG
    (quality 95, 4:4:4). The same arguments give the same pictures. Where the source of the drawing
    program has changed, they are drawn anew, and the older files removed. A second process with the
    same folder waits.

    Raises `PipelineError` when `folder` cannot be written, and for a damaged drawing.
    """
    program = _program_hash()
    paths = {
        drawn: folder / f"{drawn:06d}-{program}.{_drawing_extension(drawn)}"
        for drawn in range(seed, seed + count)
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with hold(folder / ".lock", "pipeline booru", progress.message):
            _draw_missing(paths, progress)
    except OSError as error:
        raise PipelineError(f"{folder}: cannot keep drawings there ({error.strerror})") from error
    except BrokenProcessPool as error:
        raise PipelineError(
            "a drawing process was killed, perhaps for lack of memory; run again to go on"
        ) from error
    return [
        _drawing_picture(post_id, drawn, path)
        for post_id, (drawn, path) in enumerate(paths.items(), start=1)
    ]


def _drawing_picture(post_id: int, seed: int, path: Path) -> BooruPicture:
    file = read_picture_file(path)
    tags = _read_tags(path)
    if file is None or tags is None:
        raise PipelineError(f"{path}: a damaged drawing; remove it and its .json, and run again")
    change = _FIRST_CHANGE + post_id * _CHANGE_STEP
    return file.as_picture(post_id, path, tags, f"drawing {seed}", change)


def _read_tags(path: Path) -> list[str] | None:
    """Return the tags of the drawing at `path`; None where they are damaged."""
    try:
        tags = json.loads(_tags_path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return None
    is_valid = isinstance(tags, list) and all(isinstance(tag, str) for tag in tags)
    return tags if is_valid else None


def _draw_missing(paths: dict[int, Path], progress: Progress) -> None:
    missing = {
        seed: path
        for seed, path in paths.items()
        if not (path.is_file() and _tags_path(path).is_file())
    }
    if not missing:
        return
    pool = new_pool(min(len(missing), usable_cores()), start_worker)
    progress.start("drawing", len(missing), "drawings")
    try:
        tasks = [pool.submit(_draw, seed, path) for seed, path in missing.items()]
        for done, task in enumerate(as_completed(tasks), start=1):
            task.result()
            progress.update(done)
    finally:
        pool.shutdown(cancel_futures=True)
        progress.finish()


def _draw(seed: int, path: Path) -> None:
    """Draw `seed` to `path`: the picture, then its tags, which mark it as complete."""
    drawing = drawings.draw(seed)
    for pattern in (f"{seed:06d}-*", f".{seed:06d}-*.tmp"):
        for old in path.parent.glob(pattern):
            old.unlink(missing_ok=True)
    with atomic_path(path) as temporary:
        if path.suffix == ".png":
            drawing.image.save(temporary, "PNG")
        else:
            drawing.image.convert("RGB").save(temporary, "JPEG", quality=95, subsampling=0)
    write_text(_tags_path(path), json.dumps(sorted(drawing.tags)) + "\n")


def _drawing_extension(seed: int) -> str:
    return "jpg" if seed % 5 == 4 else "png"


def _tags_path(path: Path) -> Path:
    return path.with_suffix(".json")


def _program_hash() -> str:
    """Return eight hex digits that change with any source file of the drawing program."""
    sources = sorted(Path(drawings.__file__).parent.rglob("*.py"))
    digest = hashlib.sha256()
    for source in sources:
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()[:8]
