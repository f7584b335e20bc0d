"""Files of previous raw sets, which are copied instead of being fetched again."""

import json
import os
import shutil
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.files import sync_file
from pipeline.images.records import POSTS_FILE
from pipeline.scraping.databases import file_key
from pipeline.scraping.download import Digests
from pipeline.scraping.posts import Post
from pipeline.scraping.raw_set import link_or_copy
from pipeline.scraping.store import Store

FileLocator = Callable[[str], Path | None]
"""Returns the path of a file of a previous set, by its name in the set; None if there is none."""


@dataclass(frozen=True)
class PreviousFile:
    """A file of a previous set, with its hash and address by the set's `posts.jsonl`."""

    path: Path
    sha256: str
    file_url: str


def read_files(locate: FileLocator) -> Iterator[PreviousFile]:
    """Yield the files of a set, as far as its `posts.jsonl` can be read; they may not exist."""
    try:
        posts = locate(POSTS_FILE)
        lines = posts.read_text(encoding="utf-8").split("\n") if posts else []
        for line in filter(None, lines):
            record = json.loads(line)
            if path := locate(record["file"]):
                yield PreviousFile(path, record["sha256"], record["file_url"])
    except (FileNotFoundError, NotADirectoryError, ValueError, LookupError, TypeError):
        return


class PreviousSets:
    """Files of previous sets, indexed by the addresses that they came from. Thread-safe.

    `find_sets` is called when a file is looked up for the first time.
    """

    def __init__(self, find_sets: Callable[[], Iterable[FileLocator]] = tuple) -> None:
        self._find_sets = find_sets
        self._mutex = threading.Lock()
        self._index: dict[str, list[PreviousFile]] | None = None

    def has_file(self, post: Post) -> bool:
        """Return whether a previous set has a file of `post`; its content is not checked."""
        return any(file.path.exists() for file in self._look_up(post))

    def copy_to(self, store: Store, post: Post, post_url: str) -> bool:
        """Copy the file of `post` into `store`; return whether a previous set had it intact.

        It must have the sha256 of the set's `posts.jsonl`, and the md5 that the site announces.
        Raises `OSError` where the store cannot be written.
        """
        for file in self._look_up(post):
            if not file.path.exists():
                continue
            part = store.part_path(post)
            part.unlink(missing_ok=True)
            # DVC may have replaced the file by a symlink; a hard link must be to what it points to.
            _link_own_or_copy(file.path.resolve(), part)
            digests = Digests.of(part)
            if digests.sha256 == file.sha256 and post.md5 in ("", digests.md5):
                sync_file(part)
                store.begin_transfer(post, post_url, digests.bytes, None)
                store.commit(post, digests.sha256, digests.md5, digests.bytes)
                return True
            part.unlink()
        return False

    def _look_up(self, post: Post) -> list[PreviousFile]:
        with self._mutex:
            if self._index is None:
                self._index = _index_by_key(self._find_sets())
            return self._index.get(file_key(post.file_url), [])


def _index_by_key(sets: Iterable[FileLocator]) -> dict[str, list[PreviousFile]]:
    index: dict[str, list[PreviousFile]] = defaultdict(list)
    for locate in sets:
        for file in read_files(locate):
            index[file_key(file.file_url)].append(file)
    return dict(index)


def _link_own_or_copy(source: Path, target: Path) -> None:
    """Link a file, or copy one of another user: only its owner may make it read-only."""
    if source.stat().st_uid == os.geteuid():
        link_or_copy(source, target)
    else:
        shutil.copyfile(source, target)
