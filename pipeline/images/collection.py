"""Read a folder of pictures as posts: sizes, hashes, and tags from the folders' names."""

import hashlib
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from pipeline.errors import PipelineError, UsageError
from pipeline.images.folders import find_pictures, path_text
from pipeline.images.opening import open_image_file
from pipeline.machine_errors import fault_text, is_machine_fault
from pipeline.progress import Progress, Silent

# Formats of a Gelbooru 0.2 site; an MPO is a JPEG followed by further frames.
_FORMATS = ("JPEG", "PNG", "GIF", "WEBP")
_EXTENSIONS = {"JPEG": "jpg", "MPO": "jpg", "PNG": "png", "GIF": "gif", "WEBP": "webp"}
_UNREADABLE = (MemoryError, OSError, ValueError, SyntaxError, Image.DecompressionBombError)


@dataclass(frozen=True)
class BooruPicture:
    """One picture of a booru, with the fields of its post.

    `md5` is of the file's bytes, `width` and `height` are pixels as stored (before the EXIF
    orientation), `parent_id` is 0 for none, `change` is unix seconds. `extension` ends the served
    file's name, without a dot.
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
    extension: str


@dataclass(frozen=True)
class PictureFile:
    """Facts about an image file, read without decoding it."""

    extension: str
    width: int
    height: int
    md5: str
    tags: frozenset[str]

    def as_picture(
        self, number: int, path: Path, tags: Iterable[str], source: str, change: int
    ) -> BooruPicture:
        """Return the picture of id `number` at `path`, with `tags` beside those of the file."""
        return BooruPicture(
            id=number,
            path=path,
            width=self.width,
            height=self.height,
            md5=self.md5,
            rating="general",
            tags=tuple(sorted(self.tags.union(tags))),
            source=source,
            parent_id=0,
            change=change,
            extension=self.extension,
        )


def collect_folder(folder: Path, progress: Progress = Silent()) -> list[BooruPicture]:
    """Return every image under `folder`, by relative path, with ids from 1 upward.

    Images are recognised by their content, not by their names; other files are skipped, and their
    number is reported to `progress`. Tags are the names of the folders between `folder` and the
    file, and those that follow from the image's header (`highres`, `animated`, ...). Only headers
    are decoded: a file with damage further on is served unchanged, as real sites do.

    Raises `UsageError` where `folder` cannot be read or has no image;
    `PipelineError` where a file cannot be read.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; name one that holds pictures")
    # Nothing is written to the folder, so none of its pictures are results.
    contents = find_pictures(folder, folder / ".results")
    paths = sorted(contents.pictures, key=lambda path: path.relative_to(folder).as_posix())
    pictures = _read_folder(folder, paths, progress) if paths else []
    if not pictures:
        raise UsageError(f"{folder}: holds no JPEG, PNG, GIF or WebP; name a folder with pictures")
    left_out = contents.others + sum(map(len, contents.left_out.values()))
    if skipped := left_out + len(paths) - len(pictures):
        progress.message(f"{folder}: files that are no JPEG, PNG, GIF or WebP, skipped: {skipped}")
    return pictures


def _read_folder(folder: Path, paths: list[Path], progress: Progress) -> list[BooruPicture]:
    pictures: list[BooruPicture] = []
    progress.start("reading pictures", len(paths), "files")
    try:
        for done, path in enumerate(paths, start=1):
            if (file := read_picture_file(path)) is not None:
                pictures.append(_folder_picture(len(pictures) + 1, folder, path, file))
            progress.update(done, pictures=len(pictures))
    finally:
        progress.finish()
    return pictures


def read_picture_file(path: Path) -> PictureFile | None:
    """Return the facts about an image file; None if `path` is no image that a booru accepts.

    Raises `PipelineError` where it cannot be read.
    """
    try:
        # Pillow warns of pictures that are large to decode; nothing is decoded here.
        with warnings.catch_warnings(action="ignore"), open_image_file(path, _FORMATS) as image:
            extension = _EXTENSIONS[str(image.format)]
            tags = frozenset(header_tags(image))
            width, height = image.size
        with path.open("rb") as file:
            md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    except _UNREADABLE as error:
        if is_machine_fault(error):
            raise PipelineError(f"{path}: cannot be read: {fault_text(error)}; fix this") from None
        return None
    return PictureFile(extension, width, height, md5, tags)


def header_tags(image: Image.Image) -> Iterator[str]:
    """Yield the tags that follow from size and mode, by Danbooru's definitions."""
    width, height = image.size
    if width >= 1600 or height >= 1200:
        yield "highres"
    if width >= 3200 or height >= 2400:
        yield "absurdres"
    if width <= 500 and height <= 500:
        yield "lowres"
    if image.mode in ("1", "L", "LA"):
        yield "greyscale"
    if image.format in ("GIF", "PNG", "WEBP", "AVIF") and getattr(image, "is_animated", False):
        yield "animated"


def _folder_picture(number: int, folder: Path, path: Path, file: PictureFile) -> BooruPicture:
    relative = path.relative_to(folder)
    change = int(path.stat().st_mtime)
    return file.as_picture(number, path, folder_tags(relative), path_text(relative), change)


def folder_tags(path: Path) -> set[str]:
    """Return the names of the folders in a relative path of a file as tags.

    In lower case, without spaces, leading `-` and `~`.
    """
    return {_tag(path_text(Path(part))) for part in path.parts[:-1]} - {""}


def _tag(name: str) -> str:
    printable = "".join(letter if letter.isprintable() else " " for letter in name.lower())
    return "_".join(printable.split()).lstrip("-~")
