"""Plan of a scrape: which posts it would accept, and how many bytes it would fetch."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.scraping.posts import Post
from pipeline.scraping.previous_sets import PreviousSets
from pipeline.scraping.store import Store

# Typical of illustrations; used until the store knows the lengths of enough of the planned files.
# Sets of a site or tag have from about half of it to twice as much.
_TYPICAL_BYTES_PER_PIXEL = {"jpg": 0.35, "jpeg": 0.35, "png": 1.1, "webp": 0.2, "gif": 0.6}
_MIN_FILES = 20


@dataclass(frozen=True)
class PlannedFile:
    """A post that would be accepted, and its file's length, an estimate where it is unknown.

    `stored`: the file does not have to be fetched. `guessed`: the estimate is by what is typical,
    and knows nothing of these files.
    """

    post: Post
    bytes: int
    stored: bool
    guessed: bool


@dataclass(frozen=True)
class Plan:
    """Posts that a scrape would accept, newest first, and counts of rejected posts by reason."""

    accepted: tuple[PlannedFile, ...]
    rejected: dict[str, int]
    shortage: str | None
    """how many posts are missing, and why; None where none are"""

    @property
    def bytes_to_fetch(self) -> tuple[int, int]:
        """The least and the most bytes that are likely: a guess may be half or double."""
        missing = [entry for entry in self.accepted if not entry.stored]
        guess = sum(entry.bytes for entry in missing if entry.guessed)
        known = sum(entry.bytes for entry in missing if not entry.guessed)
        return known + guess // 2, known + guess * 2


def plan_files(posts: Iterable[Post], store: Store, previous: PreviousSets) -> list[PlannedFile]:
    """Return `posts` with the lengths of their files, known or estimated.

    The site announces no lengths. Those that `store` does not know are estimated from the number of
    pixels: by the bytes per pixel of those of `posts` that have the same type and a known length,
    or by typical ones where these are too few.
    """
    rows = [(post, store.find(post)) for post in posts]
    sizes: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for post, file in rows:
        if file is not None and file.bytes:
            sizes[post.extension].append((file.bytes, post.width * post.height))
    planned = []
    for post, file in rows:
        length = file.bytes if file is not None else None
        measured = _bytes_per_pixel(sizes[post.extension])
        bytes_per_pixel = measured or _TYPICAL_BYTES_PER_PIXEL.get(post.extension, 1.0)
        estimate = round(bytes_per_pixel * post.width * post.height)
        guessed = not length and measured is None
        stored = (file is not None and file.sha256 is not None) or previous.has_file(post)
        planned.append(PlannedFile(post, length or estimate, stored, guessed))
    return planned


def _bytes_per_pixel(sizes: Sequence[tuple[int, int]]) -> float | None:
    """Return the mean of files of known bytes and pixels; None where they are too few."""
    if len(sizes) < _MIN_FILES:
        return None
    return sum(size for size, _ in sizes) / sum(pixels for _, pixels in sizes)
