"""The course of a scrape: list ahead, fetch side by side, count what became of each post."""

import json
import os
import queue
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from multiprocessing.pool import AsyncResult, ThreadPool

from pipeline.errors import PipelineError, UsageError
from pipeline.params import ScrapeParams
from pipeline.progress import Progress
from pipeline.scraping.adoption import EarlierSets
from pipeline.scraping.client import FORMS, Client, credentials
from pipeline.scraping.download import download
from pipeline.scraping.fetch_errors import FetchError, UnreachableError
from pipeline.scraping.posts import Post
from pipeline.scraping.raw_set import post_url
from pipeline.scraping.selection import rejection
from pipeline.scraping.session import Session
from pipeline.scraping.store import Listing, Store, StoredFile

_READ_AHEAD = 500
_GRACE_SECONDS = 2.0
_MAX_FAILURES_IN_A_ROW = 100


class Job:
    """Takes posts in order and fetches their files until `limit` are accepted.

    Never more files are under way than are still missing, so what is accepted in the end are
    the first `limit` posts that can be had, however the transfers overtake each other.
    """

    def __init__(
        self,
        params: ScrapeParams,
        store: Store,
        progress: Progress,
        *,
        earlier: EarlierSets,
        listing_allowed: bool = True,
        fetching_allowed: bool = True,
    ) -> None:
        self._params, self._store, self._progress = params, store, progress
        self._earlier = earlier
        self._listing_allowed, self._fetching_allowed = listing_allowed, fetching_allowed
        # One picture at a time in one thread: memory would grow with the workers otherwise, and
        # the allocator would keep as much for each of them.
        self._decoder = ThreadPoolExecutor(1)
        self._site = params.site.rstrip("/")
        self._stop = threading.Event()
        self._session = Session(
            params.site,
            contact=params.contact,
            api_interval=params.api_interval,
            file_interval=params.file_interval,
            retries=params.retries,
            timeout=params.timeout,
            connections=params.workers + 1,
            stop=self._stop,
            log=progress.message,
        )
        self._client = Client(
            self._session,
            self._site,
            params.tags,
            params.excluded_tags,
            params.page_size,
            FORMS if params.listing == "auto" else (params.listing,),
            credentials(os.environ),
        )
        query = [self._site, sorted(params.tags), sorted(params.excluded_tags)]
        self.listing_key = json.dumps(query, ensure_ascii=False)
        self.accepted: list[int] = []
        self.listed = self._bytes = 0
        self.rejected: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self._failures_in_a_row = 0
        self._ahead: deque[tuple[int, Post | None]] = deque()
        self._position: int | None = None
        self._listing = self._begin_listing()
        self._listing_now = False
        self._fetching = 0
        self._tasks: list[AsyncResult[None]] = []
        self._events: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()

    def run(self) -> None:
        """Return when the limit is met. Raises `PipelineError` if it cannot be."""
        self._tell_kept_listing()
        self._progress.start("scrape", self._params.limit, "pictures")
        self._pool = ThreadPool(self._params.workers + 1)
        try:
            while self._advance():
                self._events.get()()
        finally:
            self._end()
            self._progress.finish()
        if len(self.accepted) < self._params.limit:
            self._store.note_short(self.listing_key)
            raise PipelineError(self._shortfall())

    def _begin_listing(self) -> Listing:
        listing = self._store.listing(self.listing_key)
        if listing.short and self._listing_allowed:
            # The site may have more by now, which a kept listing would never see.
            self._store.forget_listing(self.listing_key)
            return self._store.listing(self.listing_key)
        if listing.cursor is None and not self._listing_allowed:
            raise UsageError(
                f"{self._store.folder}: no posts of {self._site} with these tags are known yet; "
                "run pipeline scrape without --retry-failed"
            )
        return listing

    def _advance(self) -> bool:
        """Start whatever can be started now; False when nothing is left to wait for."""
        while self._missing() and self._fetching < self._params.workers and self._read_ahead():
            self._take(*self._ahead.popleft())
        if len(self._ahead) < min(self._missing(), _READ_AHEAD // 2):
            self._list_more()
        return self._fetching > 0 or (self._listing_now and self._missing() > 0)

    def _missing(self) -> int:
        return self._params.limit - len(self.accepted) - self._fetching

    def _read_ahead(self) -> bool:
        """Whether a listed post is at hand."""
        if not self._ahead and self._position != self._listing.cursor:
            entries = self._store.listed(self.listing_key, self._position, _READ_AHEAD)
            self._ahead.extend(entries)
            self._position = entries[-1][0]
        return bool(self._ahead)

    def _list_more(self) -> None:
        at_its_end = self._position == self._listing.cursor and not self._listing.finished
        if self._listing_now or not at_its_end or not self._listing_allowed:
            return
        cursor = self._listing.cursor

        def work() -> None:
            self._store.add_page(self.listing_key, self._client.page(cursor))

        self._listing_now = True
        self._start(work, self._listed_more)

    def _listed_more(self, error: BaseException | None) -> None:
        self._listing_now = False
        if error is not None:
            raise _final(error)
        self._listing = self._store.listing(self.listing_key)

    def _take(self, number: int, post: Post | None) -> None:
        """Accept, reject or begin to fetch the next post of the listing."""
        self.listed += 1
        if post is None:
            self._reject("malformed")
        elif reason := rejection(post, self._params):
            self._reject(reason)
        elif not self._session.owns(post.file_url):
            self._reject("host")
        else:
            self._take_file(post)

    def _take_file(self, post: Post) -> None:
        known = self._store.find(post)
        if known is not None and (known.bytes or 0) > self._params.max_bytes:
            self._reject("max_bytes")
        elif not self._fetching_allowed:
            self._judge(post, known)
        else:
            self._fetching += 1
            self._start(partial(self._obtain, post), partial(self._obtained, post))

    def _obtain(self, post: Post) -> None:
        """Have the file of `post` in the store: it is fetched where it is nowhere sound."""
        store, url, limit = self._store, post_url(self._site, post), self._params.max_bytes
        known = store.find(post)
        sound = known is not None and known.sha256 is not None and store.is_sound(known.sha256)
        if known is not None and known.sha256 is not None and not sound:
            path = store.path(known.sha256)
            self._progress.message(f"{path}: was damaged on disk, and is replaced")
        if not sound and self._earlier.adopt(post, url, store):
            return
        download(post, url, self._session, store, limit, self._decoder)

    def _obtained(self, post: Post, error: BaseException | None) -> None:
        self._fetching -= 1
        if error is None:
            self._judge(post, self._store.find(post))
        elif isinstance(error, FetchError) and not isinstance(error, UnreachableError):
            self._fail(post, error)
        else:
            raise _final(error)

    def _judge(self, post: Post, file: StoredFile | None) -> None:
        """Accept a post whose file is there, unless its md5 is not what was announced."""
        differs = file is not None and file.differs(post) and not file.is_doubtful(post)
        if not differs or self._params.md5 == "keep":
            self._failures_in_a_row = 0
            self._accept(post)
            return
        self._reject("md5")
        self._fail_in_a_row(
            f"{post.file_url} differs from the announced md5", "scrape.md5: keep takes such files"
        )

    def _accept(self, post: Post) -> None:
        known = self._store.find(post)
        self.accepted.append(post.id)
        self._bytes += (known.bytes or 0) if known else 0
        self._show()

    def _reject(self, reason: str) -> None:
        self.rejected[reason] += 1

    def _fail(self, post: Post, error: FetchError) -> None:
        if error.reason == "max_bytes":
            self._reject(error.reason)
            return
        self._store.note_failure(post, post_url(self._site, post), error.reason)
        self.failed[error.reason] += 1
        self._fail_in_a_row(str(error), "find out why, then run the same command again")
        self._show()

    def _fail_in_a_row(self, problem: str, advice: str) -> None:
        self._failures_in_a_row += 1
        if self._failures_in_a_row >= _MAX_FAILURES_IN_A_ROW:
            raise PipelineError(
                f"{self._site}: {self._failures_in_a_row} files in a row could not be had, "
                f"the last: {problem}; {advice}"
            )

    def _start(
        self, work: Callable[[], None], done: Callable[[BaseException | None], None]
    ) -> None:
        """Let a thread do `work`; `done` is told of its end in the thread that calls `run`."""

        def task() -> None:
            error: BaseException | None = None
            try:
                work()
            except BaseException as raised:
                error = raised
            self._events.put(partial(done, error))

        self._tasks = [running for running in self._tasks if not running.ready()]
        self._tasks.append(self._pool.apply_async(task))

    def _end(self) -> None:
        """Stop the threads; one that a silent server holds is left behind, and writes no more."""
        self._stop.set()
        deadline = time.monotonic() + _GRACE_SECONDS
        for running in self._tasks:
            running.wait(max(0.0, deadline - time.monotonic()))
        self._pool.terminate()
        self._decoder.shutdown(wait=False, cancel_futures=True)
        self._session.close()

    def _show(self) -> None:
        self._progress.update(
            len(self.accepted),
            MB=self._bytes / 1e6,
            rejected=self.rejected.total(),
            failed=self.failed.total(),
        )

    def _tell_kept_listing(self) -> None:
        if not self._listing_allowed:
            self._progress.message(
                f"{self._site}: {self._store.failed()} files could not be had before; nothing new "
                "is listed"
            )
        elif self._listing.cursor is not None:
            self._progress.message(
                f"{self._site}: going on with the listing begun {self._listing.started_at}; to see "
                f"newer posts, remove {self._store.listing_path} (no file is fetched again)"
            )

    def _shortfall(self) -> str:
        accepted, limit = len(self.accepted), self._params.limit
        reasons = [
            f"{what} {counts.total()} ({_told(counts)})"
            for what, counts in (("rejected", self.rejected), ("failed", self.failed))
            if counts
        ]
        return (
            f"{self._site}: {limit - accepted} of {limit} pictures are missing: "
            f"{', '.join([f'listed {self.listed}', *reasons, f'accepted {accepted}'])}; "
            + (f"lower scrape.limit to {accepted} or " if accepted else "")
            + f"loosen the rules in scrape (all that was fetched stays in {self._store.folder})"
        )


def _final(error: BaseException) -> BaseException:
    """`error` as the end of the run tells it."""
    if isinstance(error, UnreachableError):
        return PipelineError(f"{error}; check scrape.site and the network, then run this again")
    return error


def _told(counts: Counter[str]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in counts.most_common())
