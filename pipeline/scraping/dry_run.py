"""What a scrape would fetch, before it fetches it."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.scraping.adoption import EarlierSets
from pipeline.scraping.posts import Post
from pipeline.scraping.store import Store

# Rough figures for illustrations, used only until the store knows files of the site itself.
_BYTES_A_PIXEL = {"jpg": 0.35, "jpeg": 0.35, "png": 1.1, "webp": 0.2, "gif": 0.6}
_ENOUGH_FILES = 20


@dataclass(frozen=True)
class Planned:
    """A post that would be taken. `bytes` is its file's length, an estimate unless it is known.

    `stored`: its file need not be fetched.
    """

    post: Post
    bytes: int
    stored: bool


@dataclass(frozen=True)
class Plan:
    """What a scrape would take, newest first, and the posts it would not, by reason."""

    taken: tuple[Planned, ...]
    rejected: dict[str, int]


def expected(posts: Iterable[Post], store: Store, earlier: EarlierSets) -> list[Planned]:
    """How large the files of `posts` are, or should be.

    The site tells no file sizes: they are estimated from the pixels, by what the files of the
    same type in `store` take a pixel, or where it has too few of them by common figures.
    """
    found = [(post, store.find(post)) for post in posts]
    sizes: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for post, file in found:
        if file is not None and file.bytes:
            sizes[post.extension].append((file.bytes, post.width * post.height))
    planned = []
    for post, file in found:
        known = file.bytes if file is not None else None
        guess = round(_bytes_a_pixel(post.extension, sizes) * post.width * post.height)
        stored = (file is not None and file.sha256 is not None) or earlier.holds(post)
        planned.append(Planned(post, known or guess, stored))
    return planned


def _bytes_a_pixel(extension: str, sizes: dict[str, list[tuple[int, int]]]) -> float:
    known = sizes[extension]
    if len(known) >= _ENOUGH_FILES:
        return sum(size for size, _ in known) / sum(pixels for _, pixels in known)
    return _BYTES_A_PIXEL.get(extension, 1.0)
