"""Download one post's original: stream or resume it, decode it, and commit it to the store."""

import hashlib
import os
import re
from collections.abc import Collection, Iterator
from concurrent.futures import Executor
from pathlib import Path

import requests
from PIL import Image, UnidentifiedImageError

from pipeline.errors import PipelineError
from pipeline.images.damage import check_decodes
from pipeline.images.opening import TRANSPOSED, open_image, orientation_of
from pipeline.machine_errors import fault_text, is_machine_fault
from pipeline.params import ScrapeParams
from pipeline.scraping.addresses import prepared_address
from pipeline.scraping.api_parsing import is_text, reason_for_refusal
from pipeline.scraping.challenges import START_BYTES, is_web_page, raise_for_challenge
from pipeline.scraping.fetch_errors import FetchError, TransientError, UnreachableError
from pipeline.scraping.posts import Post
from pipeline.scraping.robots import find_directive
from pipeline.scraping.session import Session
from pipeline.scraping.store import Store, StoredFile

_CHUNK_BYTES = 65536
_BEFORE_TAGS = b"\xef\xbb\xbf \t\r\n"


class Digests:
    """Running sha256, md5 and length of the bytes passed to `update`."""

    def __init__(self) -> None:
        self.bytes = 0
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False)

    @classmethod
    def of(cls, path: Path) -> "Digests":
        """Return the digests of a file. Raises `OSError`."""
        digests = cls()
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digests.update(chunk)
        return digests

    def update(self, chunk: bytes) -> None:
        """Add bytes."""
        self.bytes += len(chunk)
        self._sha256.update(chunk)
        self._md5.update(chunk)

    @property
    def sha256(self) -> str:
        """Hex digits of the sha256."""
        return self._sha256.hexdigest()

    @property
    def md5(self) -> str:
        """Hex digits of the md5."""
        return self._md5.hexdigest()


def download(
    post: Post,
    post_url: str,
    session: Session,
    store: Store,
    params: ScrapeParams,
    decoder: Executor,
) -> None:
    """Bring the file of `post` into `store`, resuming an interrupted transfer.

    The complete file is decoded in `decoder` before it is committed. A file whose md5 differs from
    the announced one is committed too, and fetched again a few times, until the difference is
    believed.

    Raises `FetchError` (reason `max_bytes` or `disallowed_header_directives`: the file does not fit
    that param), `SiteError` or `Stopped`; the bytes transferred by then stay in the store.
    """

    def attempt() -> None:
        file = store.find(post)
        fresh = file is not None and file.needs_retry(post)
        stored = None if fresh else file
        digests = _transfer(post, post_url, session, store, params, stored, fresh=fresh)
        decoder.submit(check_picture, post, store.part_path(post), digests.md5).result()
        store.commit(post, digests.sha256, digests.md5, digests.bytes)

    file = store.find(post)
    if file is None or file.sha256 is None:
        session.retry(attempt)
    while _needs_retry(post, store):
        try:
            session.retry(attempt)
        except UnreachableError:
            raise
        except FetchError:
            # The file in the store is used.
            store.count_mismatch_try(post)


def _needs_retry(post: Post, store: Store) -> bool:
    file = store.find(post)
    return file is not None and file.needs_retry(post)


def _transfer(
    post: Post,
    post_url: str,
    session: Session,
    store: Store,
    params: ScrapeParams,
    stored: StoredFile | None,
    *,
    fresh: bool,
) -> Digests:
    """Complete the part of `post`, of which the store knows `stored`; return its digests.

    `fresh`: from the start and past any cache, without a change to the row of the file that the
    store has for the post.
    """
    part = store.part_path(post)
    if fresh:
        part.unlink(missing_ok=True)
    digests = Digests.of(part) if part.exists() else Digests()
    if stored is not None and digests.bytes and digests.bytes == stored.bytes:
        return digests

    def record(length: int | None, validator: str | None = None) -> None:
        if not fresh:
            store.begin_transfer(post, post_url, length, validator)

    max_bytes = params.max_bytes
    headers = _request_headers(post_url, digests.bytes, stored, fresh=fresh)
    with session.get(post.file_url, session.file_limiter, headers=headers) as response:
        if not _is_continuation(response, digests.bytes):
            _raise_for_range(response, part)
            digests = Digests()
        _raise_if_disallowed(response, params.disallowed_header_directives, part)
        length = _full_length(response, digests.bytes)
        record(length, _version_validator(response))
        _raise_if_larger(response, length or 0, max_bytes, part)
        _stream(response, part, digests, session, max_bytes)
    if digests.bytes > max_bytes:
        record(digests.bytes)
        _raise_if_larger(response, digests.bytes, max_bytes, part)
    _raise_if_incomplete(post, digests.bytes, length)
    if length is None:
        record(digests.bytes)
    return digests


def _request_headers(
    post_url: str, start: int, stored: StoredFile | None, *, fresh: bool
) -> dict[str, str]:
    """Return the headers of a transfer that resumes at byte `start`, where it can be resumed."""
    # Some sites give files only to those who come from the post's page.
    headers = {"Accept-Encoding": "identity", "Referer": prepared_address(post_url)}
    if fresh:
        headers["Cache-Control"] = "no-cache"
    if stored is not None and stored.validator and start:
        headers |= {"Range": f"bytes={start}-", "If-Range": stored.validator}
    return headers


def _stream(
    response: requests.Response, part: Path, digests: Digests, session: Session, max_bytes: int
) -> None:
    """Append the body to `part` and `digests`, and sync it; stop early beyond `max_bytes`."""
    with part.open("ab" if digests.bytes else "wb") as file:
        for chunk in _chunks(response, session):
            if not digests.bytes:
                _raise_for_words(response, chunk)
            digests.update(chunk)
            if digests.bytes > max_bytes:
                return
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())


def _chunks(response: requests.Response, session: Session) -> Iterator[bytes]:
    """Yield the body as it comes; what may be text, in a piece long enough to recognise a page.

    A slow server sends very small pieces.
    """
    first, chunks = bytearray(), session.chunks(response)
    for chunk in chunks:
        first += chunk
        text = first.lstrip(_BEFORE_TAGS)
        may_be_text = not text or text.startswith(b"<") or is_text(bytes(first))
        if len(first) >= START_BYTES or not may_be_text:
            break
    if first:
        yield bytes(first)
    yield from chunks


def _is_continuation(response: requests.Response, start: int) -> bool:
    content_range = response.headers.get("Content-Range", "")
    return response.status_code == 206 and content_range.startswith(f"bytes {start}-")


def _raise_for_range(response: requests.Response, part: Path) -> None:
    if response.status_code != 200:
        part.unlink(missing_ok=True)
        raise TransientError(response.url, "range", "answered with another range than asked for")


def _full_length(response: requests.Response, start: int) -> int | None:
    """Return the length of the complete file, where the server announces it."""
    if response.headers.get("Content-Encoding", "identity") != "identity":
        return None
    length = response.headers.get("Content-Length", "")
    return start + int(length) if re.fullmatch("[0-9]{1,18}", length) else None


def _version_validator(response: requests.Response) -> str | None:
    """Return a value for If-Range: the ETag unless it is weak, or else the date."""
    etag = response.headers.get("ETag", "")
    if etag and not etag.startswith("W/"):
        return etag
    return response.headers.get("Last-Modified")


def _raise_if_larger(response: requests.Response, length: int, max_bytes: int, part: Path) -> None:
    if length > max_bytes:
        part.unlink(missing_ok=True)
        problem = f"{length} bytes or more are over scrape.max_bytes {max_bytes}"
        raise FetchError(response.url, "max_bytes", problem)


def _raise_if_incomplete(post: Post, received: int, length: int | None) -> None:
    if not received and not length:
        raise TransientError(post.file_url, "empty_file", "sent an empty file")
    if length is not None and received != length:
        raise TransientError(post.file_url, "length", f"sent {received} of {length} bytes")


def _raise_if_disallowed(
    response: requests.Response, directives: Collection[str], part: Path
) -> None:
    headers = response.raw.headers.getlist("X-Robots-Tag")
    directive = find_directive(headers, {directive.lower() for directive in directives})
    if directive is not None:
        part.unlink(missing_ok=True)
        problem = f"its X-Robots-Tag says {directive}"
        raise FetchError(response.url, "disallowed_header_directives", problem)


def _raise_for_words(response: requests.Response, start: bytes) -> None:
    raise_for_challenge(response, start)
    if is_web_page(start):
        title = reason_for_refusal(start)
        problem = "is a web page, not a picture" + (f": {title}" if title else "")
        raise FetchError(response.url, "web_page", problem, is_refusal=True)
    if is_text(start):
        reason = reason_for_refusal(start)
        problem = "is text, not a picture" + (f": {reason}" if reason else "")
        raise FetchError(response.url, "text", problem, is_refusal=True)


def check_picture(post: Post, part: Path, md5: str) -> None:
    """Decode a part. Raise `FetchError` and remove it if it is damaged or of the wrong size.

    `md5` is of the part's bytes. Raise `PipelineError` and leave the part where the machine fails.
    """
    try:
        data = part.read_bytes()
        with _open_picture(data) as image:
            size, fits = image.size, _has_announced_size(image, post)
            if fits:
                check_decodes(image, data)
    except Exception as error:  # Pillow raises nearly anything on broken files
        raise_machine_fault(error, part)
        part.unlink()
        # Bytes with the announced md5 will be the same the next time.
        kind = FetchError if md5 == post.md5 else TransientError
        raise kind(post.file_url, "undecodable", f"cannot be decoded: {error}") from None
    if not fits:
        part.unlink()
        problem = f"is {size[0]}×{size[1]} pixels, announced as {post.width}×{post.height}"
        raise FetchError(post.file_url, "size", problem)


def _open_picture(data: bytes) -> Image.Image:
    try:
        return open_image(data)
    except UnidentifiedImageError:
        raise ValueError("is no picture of a known format") from None


def _has_announced_size(image: Image.Image, post: Post) -> bool:
    announced = (post.width, post.height)
    is_turned = image.size == announced[::-1] and orientation_of(image) in TRANSPOSED
    return image.size == announced or is_turned


def raise_machine_fault(error: Exception, path: Path) -> None:
    """Raise `PipelineError` if `error` of decoding `path` is the machine's, not the data's."""
    if is_machine_fault(error):
        raise PipelineError(
            f"{path}: cannot be read or decoded: {fault_text(error)}; "
            "mend that, then run the same command again"
        ) from None
