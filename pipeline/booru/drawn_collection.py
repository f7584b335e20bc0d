"""Collect drawings as the pictures of the embedded booru, cached in a folder."""

import hashlib
import json
import os
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from pipeline import drawings
from pipeline.errors import PipelineError, UsageError
from pipeline.files import atomic_path, write_text
from pipeline.images.collection import BooruPicture, read_picture_file
from pipeline.locks import hold
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

    Raises `PipelineError` when `folder` cannot be written, `UsageError` for a damaged drawing.
    """
    program = _program_hash()
    stems = {number: f"{number:06d}-{program}" for number in range(seed, seed + count)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with hold(folder / ".lock", "pipeline booru", progress.message):
            _draw_missing(stems, folder, progress)
    except OSError as error:
        raise PipelineError(f"{folder}: cannot keep drawings there ({error.strerror})") from error
    except BrokenProcessPool as error:
        raise PipelineError(
            "a drawing process was killed, perhaps for lack of memory; run again to go on"
        ) from error
    return [
        _drawing_picture(index, number, folder / f"{stem}.{_drawing_extension(number)}")
        for index, (number, stem) in enumerate(stems.items(), start=1)
    ]


def _drawing_picture(index: int, number: int, path: Path) -> BooruPicture:
    file = read_picture_file(path)
    if file is None:
        raise UsageError(f"{path}: a damaged drawing; remove it and its .json, and run again")
    tags = json.loads(_tags_path(path.parent, path.stem).read_text(encoding="utf-8"))
    change = _FIRST_CHANGE + index * _CHANGE_STEP
    return file.as_picture(index, path, tags, f"drawing {number}", change)


def _draw_missing(stems: dict[int, str], folder: Path, progress: Progress) -> None:
    missing = [
        (number, stem) for number, stem in stems.items() if not _tags_path(folder, stem).is_file()
    ]
    if not missing:
        return
    pool = new_pool(min(len(missing), os.cpu_count() or 1), start_worker)
    progress.start("drawing", len(missing), "drawings")
    try:
        tasks = [pool.submit(_draw, number, stem, folder) for number, stem in missing]
        for done, task in enumerate(as_completed(tasks), start=1):
            task.result()
            progress.update(done)
    finally:
        pool.shutdown(cancel_futures=True)
        progress.finish()


def _draw(seed: int, stem: str, folder: Path) -> None:
    """Draw `seed` into `folder`: the picture, then its tags, which mark it as complete."""
    drawing = drawings.draw(seed)
    extension = _drawing_extension(seed)
    for pattern in (f"{seed:06d}-*", f".{seed:06d}-*.tmp"):
        for old in folder.glob(pattern):
            old.unlink(missing_ok=True)
    with atomic_path(folder / f"{stem}.{extension}") as temporary:
        if extension == "png":
            drawing.image.save(temporary, "PNG")
        else:
            drawing.image.convert("RGB").save(temporary, "JPEG", quality=95, subsampling=0)
    write_text(_tags_path(folder, stem), json.dumps(sorted(drawing.tags)) + "\n")


def _drawing_extension(seed: int) -> str:
    return "jpg" if seed % 5 == 4 else "png"


def _tags_path(folder: Path, stem: str) -> Path:
    return folder / f"{stem}.json"


def _program_hash() -> str:
    """Return eight hex digits that change with any source file of the drawing program."""
    sources = sorted(Path(drawings.__file__).parent.rglob("*.py"))
    digest = hashlib.sha256()
    for source in sources:
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()[:8]
