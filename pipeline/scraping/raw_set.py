"""The wanted set as a folder: the pictures' files, and one line a picture about them."""

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.files import sync_folder
from pipeline.machine_errors import fault_text
from pipeline.scraping.posts import Post

POSTS_FILE = "posts.jsonl"


@dataclass(frozen=True)
class Entry:
    """A picture of the set: its post, the page that shows it, and its file as it is."""

    post: Post
    post_url: str
    path: Path
    bytes: int
    sha256: str
    md5: str

    @property
    def name(self) -> str:
        """Name of the file in the set."""
        return f"{self.post.id}.{self.post.extension}"

    @property
    def md5_matches(self) -> bool | None:
        """Whether the file has the md5 that the site announced; None where it announced none."""
        return self.md5 == self.post.md5 if self.post.md5 else None


def post_url(site: str, post: Post) -> str:
    """Address of the page that shows `post`."""
    return f"{site.rstrip('/')}/index.php?page=post&s=view&id={post.id}"


def link(file: Path, name: Path) -> None:
    """Give a file that is never written again a second name."""
    try:
        os.link(file, name)
    except OSError:
        # Another file system, or one that has no hard links.
        shutil.copyfile(file, name)


def check_place(raw: Path) -> None:
    """Raise `PipelineError` where `write_set` could not replace `raw`: better now than in the end.

    Folders into which something is mounted, for instance, can be neither moved nor replaced.
    """
    raw = raw.resolve()
    old = _aside(raw, "old")
    try:
        raw.parent.mkdir(parents=True, exist_ok=True)
        _recover(raw, old)
        with tempfile.TemporaryDirectory(dir=raw.parent, prefix=f".{raw.name}."):
            pass
        if raw.exists():
            shutil.rmtree(old, ignore_errors=True)
            raw.replace(old)
            old.replace(raw)
    except OSError as error:
        mounted = error.errno in (errno.EBUSY, errno.EXDEV)
        advice = f"mount {raw.parent} in its place" if mounted else "mend that"
        raise PipelineError(
            f"{raw}: cannot be replaced by a new set: {fault_text(error)}; {advice}, "
            f"then run the same command again (nothing was fetched; {_state(raw, old)})"
        ) from None
    if raw.exists() and not raw.is_dir():
        raise PipelineError(f"{raw}: is no folder; move it away (nothing was fetched)")


def write_set(
    entries: Iterable[Entry], raw: Path, place: Callable[[Path, Path], object] = link
) -> tuple[int, int]:
    """Replace `raw` by a folder with the files of `entries` and their metadata.

    `place` brings a file to its name in the set. Returns the bytes of all files, and how many
    differ from the announced md5. Raises `PipelineError` where that fails; `raw` is then as it was.
    Where not even that is possible, the next call brings it back.
    """
    raw = raw.resolve()
    new, old = _aside(raw, "new"), _aside(raw, "old")
    try:
        _recover(raw, old)
        for leftover in (new, old):
            if leftover.exists():
                shutil.rmtree(leftover)
        new.mkdir(parents=True)
        counts = _fill(new, entries, place)
        _swap(new, raw, old)
    except OSError as error:
        raise PipelineError(
            f"{error.filename or raw}: {fault_text(error)}, so the new set is not in {raw}, and "
            f"{_state(raw, old)}; mend that, then run the same command again"
        ) from None
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return counts


def _aside(raw: Path, name: str) -> Path:
    """Where the set that is to come, or the one that was, lies while they change places."""
    return raw.with_name(f".{raw.name}.{name}")


def _recover(raw: Path, old: Path) -> None:
    """Undo a change of places that a kill cut in half."""
    if old.exists() and not raw.exists():
        old.replace(raw)


def _state(raw: Path, old: Path) -> str:
    """What became of the set that was there, in words."""
    if old.exists() and not raw.exists():
        return f"what was there lies in {old} until the next run"
    return "what was there is as it was"


def _fill(
    new: Path, entries: Iterable[Entry], place: Callable[[Path, Path], object]
) -> tuple[int, int]:
    size = mismatches = 0
    with (new / POSTS_FILE).open("w", encoding="utf-8", newline="\n") as lines:
        for entry in entries:
            place(entry.path, new / entry.name)
            lines.write(json.dumps(_line(entry), sort_keys=True) + "\n")
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
        _recover(raw, old)
        raise
    sync_folder(raw.parent)
    shutil.rmtree(old, ignore_errors=True)


def _line(entry: Entry) -> dict[str, object]:
    """What `posts.jsonl` tells of one picture."""
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
        "post_url": entry.post_url,
        "file_url": post.file_url,
    }
