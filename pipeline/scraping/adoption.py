"""Files of earlier sets that are still somewhere, so that they need not be fetched again."""

import json
import os
import shutil
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.scraping.databases import file_key
from pipeline.scraping.download import Digests
from pipeline.scraping.posts import Post
from pipeline.scraping.raw_set import POSTS_FILE, link
from pipeline.scraping.store import Store

Locate = Callable[[str], Path | None]
"""Where a file of an earlier set lies, by its name in the set; None where it has none of it."""


@dataclass(frozen=True)
class Kept:
    """A file of an earlier set, and what its `posts.jsonl` tells of it."""

    path: Path
    sha256: str
    file_url: str


def files_of(locate: Locate) -> Iterator[Kept]:
    """The files of a set, as far as its `posts.jsonl` can be read; none need be there."""
    try:
        posts = locate(POSTS_FILE)
        lines = posts.read_text(encoding="utf-8").split("\n") if posts else []
        for line in filter(None, lines):
            told = json.loads(line)
            if path := locate(told["file"]):
                yield Kept(path, told["sha256"], told["file_url"])
    except (FileNotFoundError, NotADirectoryError, ValueError, LookupError, TypeError):
        return


class EarlierSets:
    """The files of earlier sets, by the addresses that they came from.

    `sets` are asked for when a file is wanted for the first time. Safe to use from any number of
    threads.
    """

    def __init__(self, sets: Callable[[], Iterable[Locate]] = tuple) -> None:
        self._sets = sets
        self._mutex = threading.Lock()
        self._index: dict[str, list[Kept]] | None = None

    def holds(self, post: Post) -> bool:
        """Whether an earlier set seems to have the file of `post`."""
        return any(kept.path.exists() for kept in self._find(post))

    def adopt(self, post: Post, post_url: str, store: Store) -> bool:
        """Take the file of `post` into `store` from an earlier set; whether one has it whole.

        It must have the sha256 that the set tells, and the md5 that the site announces. Raises
        `OSError` where the store cannot be written.
        """
        for kept in self._find(post):
            if not kept.path.exists():
                continue
            part = store.part(post)
            part.unlink(missing_ok=True)
            # DVC may have made a link of it, which would be linked itself.
            _link_or_copy(kept.path.resolve(), part)
            digests = Digests.of(part)
            if digests.sha256 == kept.sha256 and post.md5 in ("", digests.md5):
                _sync(part)
                store.expect(post, post_url, digests.bytes, None)
                store.keep(post, digests.sha256, digests.md5, digests.bytes)
                return True
            part.unlink()
        return False

    def _find(self, post: Post) -> list[Kept]:
        with self._mutex:
            if self._index is None:
                self._index = _read(self._sets())
            return self._index.get(file_key(post.file_url), [])


def _read(sets: Iterable[Locate]) -> dict[str, list[Kept]]:
    index: dict[str, list[Kept]] = defaultdict(list)
    for locate in sets:
        for kept in files_of(locate):
            index[file_key(kept.file_url)].append(kept)
    return dict(index)


def _link_or_copy(file: Path, name: Path) -> None:
    """Link a file, or copy one of another user: only its owner may make it read-only."""
    if file.stat().st_uid == os.geteuid():
        link(file, name)
    else:
        shutil.copyfile(file, name)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
