"""The wanted set as a folder: links to the store's files, and one line a picture about them."""

import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from pipeline.booru.posts import Post
from pipeline.booru.store import Store

POSTS_FILE = "posts.jsonl"


def post_url(site: str, post: Post) -> str:
    """Address of the page that shows `post`."""
    return f"{site.rstrip('/')}/index.php?page=post&s=view&id={post.id}"


def write_set(site: str, store: Store, posts: Iterable[Post], raw: Path) -> tuple[int, int]:
    """Replace `raw` by a folder with the files of `posts` and their metadata.

    Returns the bytes of all files, and how many differ from the announced md5.
    """
    raw = raw.resolve()
    new, old = raw.with_name(f".{raw.name}.new"), raw.with_name(f".{raw.name}.old")
    for leftover in (new, old):
        if leftover.exists():
            shutil.rmtree(leftover)
    new.mkdir(parents=True)
    size = mismatches = 0
    with (new / POSTS_FILE).open("w", encoding="utf-8", newline="\n") as lines:
        for post in posts:
            line = _line(site, store, post)
            _link(store.path(str(line["sha256"])), new / str(line["file"]))
            lines.write(json.dumps(line, sort_keys=True) + "\n")
            size += int(str(line["bytes"]))
            mismatches += line["md5_matches"] is False
        lines.flush()
        os.fsync(lines.fileno())
    if raw.exists():
        raw.replace(old)
    new.replace(raw)
    shutil.rmtree(old, ignore_errors=True)
    return size, mismatches


def _line(site: str, store: Store, post: Post) -> dict[str, object]:
    """What `posts.jsonl` tells of one post."""
    file = store.find(post)
    assert file is not None
    return {
        "id": post.id,
        "file": f"{post.id}.{post.extension}",
        "width": post.width,
        "height": post.height,
        "bytes": file.bytes,
        "sha256": file.sha256,
        "md5_matches": file.md5 == post.md5 if post.md5 else None,
        "rating": post.rating,
        "tags": list(post.tags),
        "source": post.source,
        "parent_id": post.parent_id,
        "post_url": post_url(site, post),
        "file_url": post.file_url,
    }


def _link(file: Path, name: Path) -> None:
    try:
        os.link(file, name)
    except OSError:
        # Another file system, or one that has no hard links.
        shutil.copyfile(file, name)
