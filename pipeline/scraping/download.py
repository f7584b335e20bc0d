"""One post's original: streamed, resumed, measured, decoded, and only then kept."""

import hashlib
import io
import os
import re
from concurrent.futures import Executor
from pathlib import Path

import requests
from PIL import Image

from pipeline.errors import PipelineError
from pipeline.images.damage import check_decodes
from pipeline.machine_errors import fault_text, is_machine_fault
from pipeline.scraping.api_parsing import Kind, body_kind
from pipeline.scraping.fetch_errors import (
    FetchError,
    TransientError,
    UnreachableError,
    raise_for_challenge,
)
from pipeline.scraping.posts import Post
from pipeline.scraping.selection import PICTURE_FORMATS
from pipeline.scraping.session import Session
from pipeline.scraping.store import Store

_CHUNK = 65536
_ORIENTATION = 0x0112
_TURNED = (5, 6, 7, 8)


class Digests:
    """Hashes and length of the bytes seen so far."""

    def __init__(self) -> None:
        self.bytes = 0
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False)

    @classmethod
    def of(cls, path: Path) -> "Digests":
        digests = cls()
        if path.exists():
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    digests.update(chunk)
        return digests

    def update(self, chunk: bytes) -> None:
        self.bytes += len(chunk)
        self._sha256.update(chunk)
        self._md5.update(chunk)

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()

    @property
    def md5(self) -> str:
        return self._md5.hexdigest()


def download(
    post: Post, post_url: str, session: Session, store: Store, max_bytes: int, decoder: Executor
) -> None:
    """Bring the file of `post` into `store`, from where an earlier try left off.

    What was transferred is decoded in full, in `decoder`, before it counts. A whole file that
    differs from the announced md5 is kept, and asked for again until it was asked for often
    enough to believe that.

    Raises `FetchError` (reason `max_bytes`: the file is larger than that), `SiteError` or
    `Stopped`; what was transferred by then stays as a part.
    """

    def attempt() -> None:
        again = _is_doubtful(post, store)
        digests = _transfer(post, post_url, session, store, max_bytes, again=again)
        decoder.submit(check_picture, post, store.part(post), digests.md5).result()
        store.keep(post, digests.sha256, digests.md5, digests.bytes)

    known = store.find(post)
    if known is None or known.sha256 is None:
        session.retry(attempt)
    while _is_doubtful(post, store):
        try:
            session.retry(attempt)
        except UnreachableError:
            raise
        except FetchError:
            # The file that is kept stands for it.
            store.note_asked(post)


def _is_doubtful(post: Post, store: Store) -> bool:
    known = store.find(post)
    return known is not None and known.is_doubtful(post)


def _transfer(
    post: Post, post_url: str, session: Session, store: Store, max_bytes: int, *, again: bool
) -> Digests:
    """Make the part of `post` whole, and return the digests of it.

    `again`: from the start, past any cache on the way, and without a word to the store, where
    another file is kept for the post.
    """
    part, known = store.part(post), store.find(post)
    headers = {"Accept-Encoding": "identity"}
    if again:
        part.unlink(missing_ok=True)
        headers |= {"Cache-Control": "no-cache"}
    digests = Digests.of(part)
    if known is not None and digests.bytes and digests.bytes == known.bytes:
        return digests
    if known is not None and known.validator and digests.bytes:
        headers |= {"Range": f"bytes={digests.bytes}-", "If-Range": known.validator}
    with session.get(post.file_url, session.file_limiter, headers=headers) as response:
        if not _continues(response, digests.bytes):
            _refuse_range(response, part)
            digests = Digests()
        length = _length(response, digests.bytes)
        if not again:
            store.expect(post, post_url, length, _validator(response))
        _refuse_larger(response, length or 0, max_bytes, part)
        with part.open("ab" if digests.bytes else "wb") as file:
            for chunk in response.iter_content(_CHUNK):
                session.check_stop()
                if not digests.bytes:
                    _refuse_page(response, chunk)
                digests.update(chunk)
                if digests.bytes > max_bytes:
                    if not again:
                        store.expect(post, post_url, digests.bytes, None)
                    _refuse_larger(response, digests.bytes, max_bytes, part)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
    if length is not None and digests.bytes != length:
        problem = f"sent {digests.bytes} of {length} bytes"
        raise TransientError(post.file_url, "length", problem)
    if length is None and not again:
        store.expect(post, post_url, digests.bytes, None)
    return digests


def _continues(response: requests.Response, start: int) -> bool:
    content_range = response.headers.get("Content-Range", "")
    return response.status_code == 206 and content_range.startswith(f"bytes {start}-")


def _refuse_range(response: requests.Response, part: Path) -> None:
    if response.status_code != 200:
        part.unlink(missing_ok=True)
        raise TransientError(response.url, "range", "answered with another range than asked for")


def _length(response: requests.Response, start: int) -> int | None:
    """Length of the whole file, where the server tells it."""
    if response.headers.get("Content-Encoding", "identity") != "identity":
        return None
    length = response.headers.get("Content-Length", "")
    return start + int(length) if re.fullmatch("[0-9]{1,18}", length) else None


def _validator(response: requests.Response) -> str | None:
    """What If-Range may hold: a weak ETag does not vouch for the same bytes."""
    etag = response.headers.get("ETag", "")
    if etag and not etag.startswith("W/"):
        return etag
    return response.headers.get("Last-Modified")


def _refuse_larger(response: requests.Response, length: int, max_bytes: int, part: Path) -> None:
    if length > max_bytes:
        part.unlink(missing_ok=True)
        problem = f"{length} bytes or more are over scrape.max_bytes {max_bytes}"
        raise FetchError(response.url, "max_bytes", problem)


def _refuse_page(response: requests.Response, start: bytes) -> None:
    raise_for_challenge(response, start)
    if body_kind(start) is Kind.HTML:
        raise TransientError(response.url, "web_page", "answered with a web page, not a picture")


def check_picture(post: Post, part: Path, md5: str) -> None:
    """Raise `FetchError` and drop the part unless it decodes to the size that was announced.

    `md5` is of the part's bytes. Where the machine fails, raise `PipelineError` and leave the part.
    """
    try:
        size = _checked_size(post, part)
    except Exception as error:  # Pillow raises nearly anything on broken files
        if is_machine_fault(error):
            raise PipelineError(
                f"{part}: cannot be read or decoded: {fault_text(error)}; "
                "mend that, then run the same command again"
            ) from None
        part.unlink()
        # Bytes that are what the site announced will be no better the next time.
        kind = FetchError if md5 == post.md5 else TransientError
        raise kind(post.file_url, "undecodable", f"is no whole picture: {error}") from None
    if size is not None:
        part.unlink()
        problem = f"is {size[0]}×{size[1]} pixels, announced as {post.width}×{post.height}"
        raise FetchError(post.file_url, "size", problem)


def _checked_size(post: Post, part: Path) -> tuple[int, int] | None:
    """Decode `part`; its size if that is not what was announced."""
    data = part.read_bytes()
    with Image.open(io.BytesIO(data), formats=sorted(set(PICTURE_FORMATS.values()))) as image:
        turned = image.getexif().get(_ORIENTATION) in _TURNED
        announced = (post.width, post.height)
        if image.size != announced and not (turned and image.size == announced[::-1]):
            return image.size
        check_decodes(image, data)
    return None
