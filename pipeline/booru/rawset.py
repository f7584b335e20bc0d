"""The wanted set as a folder: the pictures' files, and one line a picture about them."""

import json
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from pipeline.booru.posts import Post

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


def write_set(
    entries: Iterable[Entry], raw: Path, place: Callable[[Path, Path], object] = link
) -> tuple[int, int]:
    """Replace `raw` by a folder with the files of `entries` and their metadata.

    `place` brings a file to its name in the set. Returns the bytes of all files, and how many
    differ from the announced md5.
    """
    raw = raw.resolve()
    new, old = raw.with_name(f".{raw.name}.new"), raw.with_name(f".{raw.name}.old")
    for leftover in (new, old):
        if leftover.exists():
            shutil.rmtree(leftover)
    new.mkdir(parents=True)
    size = mismatches = 0
    with (new / POSTS_FILE).open("w", encoding="utf-8", newline="\n") as lines:
        for entry in entries:
            place(entry.path, new / entry.name)
            lines.write(json.dumps(_line(entry), sort_keys=True) + "\n")
            size += entry.bytes
            mismatches += entry.md5_matches is False
        lines.flush()
        os.fsync(lines.fileno())
    if raw.exists():
        raw.replace(old)
    new.replace(raw)
    shutil.rmtree(old, ignore_errors=True)
    return size, mismatches


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
