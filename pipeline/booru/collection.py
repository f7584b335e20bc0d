"""The pictures that an embedded booru serves: a folder of the user's, or drawings made here."""

import hashlib
import json
import multiprocessing
import os
import signal
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock
from PIL import Image

from pipeline.booru import drawings
from pipeline.errors import PipelineError, UsageError
from pipeline.files import atomic_path, write_text
from pipeline.progress import Progress, Silent

# What a Gelbooru 0.2 site takes; an MPO is a JPEG with further frames behind it.
_EXTENSIONS = {"JPEG": "jpg", "MPO": "jpg", "PNG": "png", "GIF": "gif", "WEBP": "webp"}
_UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)
_FIRST_CHANGE = 1_700_000_000
_CHANGE_STEP = 600


@dataclass(frozen=True)
class Picture:
    """One picture of a booru, as the site knows it.

    `md5` is of the file's bytes, `width` and `height` are pixels as stored (before any EXIF
    turn), `parent_id` is 0 for none, `change` is unix seconds. `extension` ends the served
    file's name, without a dot; left empty, it is that of `path`.
    """

    id: int
    path: Path
    width: int
    height: int
    md5: str
    rating: str
    tags: tuple[str, ...]
    source: str
    parent_id: int
    change: int
    extension: str = ""

    def __post_init__(self) -> None:
        if not self.extension:
            object.__setattr__(self, "extension", self.path.suffix.lower().lstrip("."))


@dataclass(frozen=True)
class _File:
    """What is read from an image file itself, without decoding it."""

    extension: str
    width: int
    height: int
    md5: str
    tags: frozenset[str]


def collect_folder(folder: Path, progress: Progress = Silent()) -> list[Picture]:  # noqa: B008
    """Every image under `folder`, by relative path, with ids from 1 upward.

    What is an image is told by the content, not by the name; other files are skipped, and
    `progress` hears how many. Tags are the names of the folders between `folder` and the file, and
    what the image's header tells (`highres`, `animated`, ...). Only headers are decoded: a file
    that is damaged further on is served as it is, as a real site does.

    Raises UsageError when `folder` is no folder that can be read, or holds no image.
    """
    paths = _files_below(folder)
    pictures = _read_folder(folder, paths, progress) if paths else []
    if not pictures:
        raise UsageError(f"{folder}: holds no JPEG, PNG, GIF or WebP; name a folder with pictures")
    if skipped := len(paths) - len(pictures):
        progress.message(f"{folder}: files that are no JPEG, PNG, GIF or WebP, skipped: {skipped}")
    return pictures


def collect_drawings(
    count: int,
    folder: Path,
    seed: int = 0,
    progress: Progress = Silent(),  # noqa: B008
) -> list[Picture]:
    """`count` drawings, of the seeds from `seed` upward, kept in `folder` and drawn only once.

    Drawn in parallel by `pipeline.booru.drawings`; four of five are PNG, the others JPEG (quality
    95, 4:4:4). The same arguments give the same pictures. A change of the drawing program draws
    them anew and removes those of before. A second program at the same folder waits.

    Raises PipelineError when `folder` cannot be written.
    """
    program = _program_hash()
    stems = {number: f"{number:06d}-{program}" for number in range(seed, seed + count)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            _draw_missing(stems, folder, progress)
    except OSError as error:
        raise PipelineError(f"{folder}: cannot keep drawings there ({error.strerror})") from error
    except BrokenProcessPool as error:
        raise PipelineError(
            "a process that drew was killed, perhaps for want of memory; run again to go on"
        ) from error
    return [
        _drawing_picture(index, number, folder / f"{stem}.{_drawing_extension(number)}")
        for index, (number, stem) in enumerate(stems.items(), start=1)
    ]


def _files_below(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; name one that holds pictures")
    files = [
        path
        for path in folder.rglob("*")
        if path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    return sorted(files, key=lambda path: path.relative_to(folder).as_posix())


def _read_folder(folder: Path, paths: list[Path], progress: Progress) -> list[Picture]:
    pictures: list[Picture] = []
    progress.start("reading pictures", len(paths), "files")
    try:
        for done, path in enumerate(paths, start=1):
            if (file := _read(path)) is not None:
                pictures.append(_folder_picture(len(pictures) + 1, folder, path, file))
            progress.update(done, pictures=len(pictures))
    finally:
        progress.finish()
    return pictures


def _read(path: Path) -> _File | None:
    """What `path` holds, or None when it is no image that a booru takes."""
    try:
        # Pillow warns of pictures that are large to decode; nothing is decoded here.
        with warnings.catch_warnings(action="ignore"), Image.open(path) as image:
            extension = _EXTENSIONS.get(image.format or "")
            if extension is None:
                return None
            tags = frozenset(_header_tags(image))
            width, height = image.size
        with path.open("rb") as file:
            md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    except _UNREADABLE:
        return None
    return _File(extension, width, height, md5, tags)


def _header_tags(image: Image.Image) -> Iterator[str]:
    """The tags that size and mode decide, by Danbooru's definitions."""
    width, height = image.size
    if width >= 1600 or height >= 1200:
        yield "highres"
    if width >= 3200 or height >= 2400:
        yield "absurdres"
    if width <= 500 and height <= 500:
        yield "lowres"
    if image.mode in ("1", "L", "LA"):
        yield "greyscale"
    if image.format in ("GIF", "PNG", "WEBP") and getattr(image, "is_animated", False):
        yield "animated"


def _folder_picture(number: int, folder: Path, path: Path, file: _File) -> Picture:
    relative = path.relative_to(folder)
    tags = file.tags | {_tag(part) for part in relative.parts[:-1]} - {""}
    return Picture(
        id=number,
        path=path,
        width=file.width,
        height=file.height,
        md5=file.md5,
        rating="general",
        tags=tuple(sorted(tags)),
        source=relative.as_posix(),
        parent_id=0,
        change=int(path.stat().st_mtime),
        extension=file.extension,
    )


def _tag(name: str) -> str:
    """A folder's name as a tag that a search can name: lower case, no spaces, no leading `-`."""
    printable = "".join(letter if letter.isprintable() else " " for letter in name.lower())
    return "_".join(printable.split()).lstrip("-~")


def _drawing_picture(index: int, number: int, path: Path) -> Picture:
    file = _read(path)
    if file is None:
        raise UsageError(f"{path}: a damaged drawing; remove it and its .json, and run again")
    tags = json.loads(_tags_path(path.parent, path.stem).read_text(encoding="utf-8"))
    return Picture(
        id=index,
        path=path,
        width=file.width,
        height=file.height,
        md5=file.md5,
        rating="general",
        tags=tuple(sorted(file.tags.union(tags))),
        source=f"drawing {number}",
        parent_id=0,
        change=_FIRST_CHANGE + index * _CHANGE_STEP,
        extension=file.extension,
    )


def _draw_missing(stems: dict[int, str], folder: Path, progress: Progress) -> None:
    missing = [
        (number, stem) for number, stem in stems.items() if not _tags_path(folder, stem).is_file()
    ]
    if not missing:
        return
    pool = ProcessPoolExecutor(
        min(len(missing), os.cpu_count() or 1),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
    )
    progress.start("drawing", len(missing), "drawings")
    try:
        tasks = [pool.submit(_draw, number, stem, folder) for number, stem in missing]
        for done, task in enumerate(as_completed(tasks), start=1):
            task.result()
            progress.update(done)
    finally:
        pool.shutdown(cancel_futures=True)
        progress.finish()


def _start_worker() -> None:
    """Leave Ctrl-C to the parent, and end when the parent is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _draw(seed: int, stem: str, folder: Path) -> None:
    """Draw `seed` into `folder`: the picture, then its tags, which say that it is whole."""
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
    """Eight hex digits that change with any source file of the drawing program."""
    sources = sorted(Path(drawings.__file__).parent.rglob("*.py"))
    digest = hashlib.sha256()
    for source in sources:
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()[:8]
