"""The raw set: a folder of pictures, with one line per picture in `posts.jsonl`."""

import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from pipeline.errors import PipelineError, some_of
from pipeline.files import sync_file, sync_folder
from pipeline.images.folders import path_text
from pipeline.images.recognition import read_head, readable_format
from pipeline.images.records import POSTS_FILE
from pipeline.images.suffixes import fitting_suffix
from pipeline.machine_errors import fault_text
from pipeline.progress import Progress, task
from pipeline.scraping.fixed_folder import (
    finish_replacement,
    is_fixed,
    is_half_replaced,
    listed_files,
    new_folder,
    replace_within,
)
from pipeline.scraping.posts import Post

_FAULTS_OF_TARGET = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
_COPIED_AT_ONCE = 2**20
_NAME_OF_SET = re.compile(r"[0-9]+\.[a-z0-9]{1,8}")


@dataclass(frozen=True)
class SetEntry:
    """One picture of the set: its post, the page that shows it, and its file.

    `bytes`, `sha256` and `md5` are those of the file at `path`.
    """

    post: Post
    post_url: str
    path: Path
    bytes: int
    sha256: str
    md5: str

    @cached_property
    def name(self) -> str:
        """File name in the set, `<id>.<extension>`, which fits the content. Raises `OSError`."""
        format, suffix = readable_format(read_head(self.path)), f".{self.post.extension}"
        return f"{self.post.id}{fitting_suffix(suffix, format) if format else suffix}"

    @property
    def md5_matches(self) -> bool | None:
        """Whether the file has the announced md5; None where the site announced none."""
        return self.md5 == self.post.md5 if self.post.md5 else None


def link_or_copy(source: Path, target: Path) -> str | None:
    """Hard-link a file that is never written again, or copy it where links are impossible.

    Returns what `copy_file` does; None of a link.
    """
    try:
        os.link(source, target)
    except OSError:
        # Another file system, or one that has no hard links.
        return copy_file(source, target)
    return None


def copy_file(source: Path, target: Path) -> str:
    """Copy a file; return the SHA-256 of what was read, in hex.

    Raises `OSError` that names `target` where its disk is at fault.
    """
    digest = hashlib.sha256()
    try:
        with source.open("rb") as old, target.open("wb") as new:
            while data := old.read(_COPIED_AT_ONCE):
                digest.update(data)
                new.write(data)
    except OSError as error:
        is_of_target = error.errno in _FAULTS_OF_TARGET
        name = str(target if is_of_target else error.filename or source)
        raise OSError(error.errno, error.strerror, name) from None
    return digest.hexdigest()


def try_replacing(raw: Path) -> None:
    """Move `raw` away and back, as `write_set` will, to find out before anything is fetched.

    Creates the folder above it, and finishes or undoes a replacement that was killed. Raises
    `PipelineError` where `raw` cannot be replaced.
    """
    raw = raw.resolve()
    old = _hidden_sibling(raw, "old")
    try:
        raw.parent.mkdir(parents=True, exist_ok=True)
        is_replaced_within = _prepare(raw, old)
        folder = raw if is_replaced_within else raw.parent
        with tempfile.TemporaryDirectory(dir=folder, prefix=f".{raw.name}."):
            pass
        foreign = [] if is_replaced_within else _foreign_files(raw)
    except OSError as error:
        raise PipelineError(
            f"{raw}: cannot be replaced by a new set: {fault_text(error)}; mend that, "
            f"then run the same command again (nothing was fetched; {_state(raw, old)})"
        ) from None
    if raw.exists() and not raw.is_dir():
        raise PipelineError(f"{raw}: is no folder; move it away (nothing was fetched)")
    if foreign:
        raise PipelineError(
            f"{raw}: holds what no scrape has written, and a new set would replace: "
            f"{some_of(foreign)}; move it to another folder (nothing was fetched)"
        )


def reported(entries: Iterable[SetEntry], count: int, progress: Progress) -> Iterator[SetEntry]:
    """Yield the `count` entries of a set that is written, and show how many are."""
    with task(progress, "writing the set", count, "files"):
        for done, entry in enumerate(entries, 1):
            yield entry
            progress.update(done)


def write_set(
    entries: Iterable[SetEntry], raw: Path, copy: Callable[[Path, Path], str | None] = link_or_copy
) -> tuple[int, int]:
    """Replace `raw` by a folder with the files of `entries` and their metadata.

    `copy` brings a file from its path to its path in the set, and returns the SHA-256 of what it
    read, if it read it. Returns the bytes of all files, and how many have another md5 than
    announced. Raises `PipelineError` on failure, also where a file is another than its entry says,
    and leaves `raw` unchanged; where that is impossible, the next call restores it, or finishes
    what was begun.
    """
    raw = raw.resolve()
    new, old = _hidden_sibling(raw, "new"), _hidden_sibling(raw, "old")
    try:
        within = _prepare(raw, old)
        new = new_folder(raw) if within else new
        if new.exists():
            shutil.rmtree(new)
        new.mkdir(parents=True)
        counts = _write_folder(new, entries, copy)
        if within:
            replace_within(raw)
        else:
            _swap(new, raw, old)
    except OSError as error:
        raise PipelineError(
            f"{error.filename or raw}: {fault_text(error)}, so the new set is not in {raw}, and "
            f"{_state(raw, old)}; mend that, then run the same command again"
        ) from None
    finally:
        if not is_half_replaced(raw):
            shutil.rmtree(new, ignore_errors=True)
    return counts


def _hidden_sibling(raw: Path, suffix: str) -> Path:
    """Return the path of the new or the old set while one replaces the other."""
    return raw.with_name(f".{raw.name}.{suffix}")


def _prepare(raw: Path, old: Path) -> bool:
    """Finish or undo a replacement that was killed; return whether `raw` cannot be renamed."""
    _restore(raw, old)
    if old.exists():
        shutil.rmtree(old)
    if not raw.is_dir():
        return False
    finish_replacement(raw)
    return is_fixed(raw, old)


def _restore(raw: Path, old: Path) -> None:
    """Undo a replacement that a kill interrupted."""
    if old.exists() and not raw.exists():
        old.replace(raw)


def _foreign_files(raw: Path) -> list[str]:
    """Return the names of what is in `raw`, and not of its set; hidden files are nobody's own.

    Where the set's list is damaged, files that are named by a post's id are taken for the set's.
    """
    if not raw.is_dir():
        return []
    posts = raw / POSTS_FILE
    own = listed_files(posts) | {POSTS_FILE}
    foreign = [path.name for path in raw.iterdir() if path.name not in own]
    return sorted(
        path_text(Path(name))
        for name in foreign
        if not name.startswith(".") and not (posts.exists() and _NAME_OF_SET.fullmatch(name))
    )


def _state(raw: Path, old: Path) -> str:
    """Return what became of the set that was in `raw`, for a message."""
    if old.exists() and not raw.exists():
        return f"what was there lies in {old} until the next run"
    if is_half_replaced(raw):
        return f"the rest of it lies in {new_folder(raw)} until the next run"
    return "what was there is as it was"


def _write_folder(
    new: Path, entries: Iterable[SetEntry], copy: Callable[[Path, Path], str | None]
) -> tuple[int, int]:
    size = mismatches = 0
    with (new / POSTS_FILE).open("w", encoding="utf-8", newline="\n") as lines:
        for entry in entries:
            if copy(entry.path, new / entry.name) not in (None, entry.sha256):
                raise PipelineError(
                    f"{path_text(entry.path)}: was changed since it was checked, so no new "
                    "set was made; run the same command again, when nothing writes to it"
                )
            # A link is to a file of the store, which was synced when it came.
            if not (new / entry.name).samefile(entry.path):
                sync_file(new / entry.name)
            lines.write(json.dumps(_record(entry), sort_keys=True) + "\n")
            size += entry.bytes
            mismatches += entry.md5_matches is False
        lines.flush()
        os.fsync(lines.fileno())
    sync_folder(new)
    return size, mismatches


def _swap(new: Path, raw: Path, old: Path) -> None:
    if raw.exists():
        raw.replace(old)
    try:
        new.replace(raw)
    except OSError:
        _restore(raw, old)
        raise
    sync_folder(raw.parent)
    shutil.rmtree(old, ignore_errors=True)


def _record(entry: SetEntry) -> dict[str, object]:
    """Return the line of `posts.jsonl` for one picture."""
    post = entry.post
    return {
        "id": post.id,
        "file": entry.name,
        "width": post.width,
        "height": post.height,
        "bytes": entry.bytes,
        "sha256": entry.sha256,
        "md5_matches": entry.md5_matches,
        "rating": post.rating,
        "tags": list(post.tags),
        "source": post.source,
        "parent_id": post.parent_id,
        "score": post.score,
        "favourites": post.favourites,
        "tag_categories": asdict(post.tag_categories) if post.tag_categories else None,
        "post_url": entry.post_url,
        "file_url": post.file_url,
    }
