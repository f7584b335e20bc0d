"""Schedule a scrape: list ahead, fetch files in threads, accept or reject each post."""

import json
import os
import threading
import warnings
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial

from pipeline.errors import PipelineError, UsageError
from pipeline.params import ScrapeParams
from pipeline.progress import Progress
from pipeline.scraping.addresses import named_host
from pipeline.scraping.advice import advice, advice_on, advice_on_failures, advice_on_listing
from pipeline.scraping.background import BackgroundTasks
from pipeline.scraping.client import Client, credentials
from pipeline.scraping.counts import ScrapeCounts
from pipeline.scraping.danbooru import DanbooruClient
from pipeline.scraping.download import download
from pipeline.scraping.fetch_errors import FetchError, UnreachableError
from pipeline.scraping.gelbooru import GelbooruClient
from pipeline.scraping.listing_reader import READ_AHEAD, ListingReader
from pipeline.scraping.posts import Malformed, Post
from pipeline.scraping.previous_sets import PreviousSets
from pipeline.scraping.secrets import Secrets
from pipeline.scraping.selection import accepts_format, rejection_reason
from pipeline.scraping.session import Session
from pipeline.scraping.sites import (
    did_you_mean_site,
    known_site,
    listing_formats,
    post_url,
    site_form,
)
from pipeline.scraping.store import Store, StoredFile
from pipeline.tag_patterns import tag_patterns

# Posts in a row, from the first on, that no param rejects but the site's own layout.
_MAX_HOPELESS = 100
# Other files would not come, either.
_REFUSALS = frozenset({"empty_file", "http_429", "no_robots_txt"})


@dataclass(frozen=True)
class ScrapeContext:
    """Inputs of a scrape.

    Without `list_new` only posts that previous runs have listed are used; with `refresh` none of
    them are. Without `fetch_files` a post that fits the rules is accepted without its file.
    """

    params: ScrapeParams
    store: Store
    progress: Progress
    previous: PreviousSets
    list_new: bool = True
    refresh: bool = False
    fetch_files: bool = True

    @property
    def listing_key(self) -> str:
        """Name of the listing in the store: site, and all that it is asked for, as JSON."""
        params = self.params
        query: list[object] = [params.site, sorted(params.tags), sorted(params.excluded_tags)]
        if params.until is not None:
            query.append(params.until)
        if site_form(params) == "danbooru2":
            # Only such a site is asked for them.
            if params.min_score is not None:
                query.append({"min_score": params.min_score})
            query += ["danbooru2", sorted(params.ratings)]
        return json.dumps(query, ensure_ascii=False)


def run_job(context: ScrapeContext) -> ScrapeCounts:
    """Bring the files of the first `params.limit` acceptable posts into the store.

    There may be fewer: `shortage` says why. Raises `UsageError` for a bad site, one whose key is
    missing, or without `list_new` where no posts are known.
    """
    params, store = context.params, context.store
    counts = ScrapeCounts(params.site, params.limit)
    stop = threading.Event()
    with closing(_open_session(context, stop)) as session:
        reader = ListingReader(
            store,
            params.site,
            context.listing_key,
            extendable=context.list_new,
            refresh=context.refresh,
            until=params.until,
        )
        _report_resumed_listing(context, reader)
        _run_scheduler(context, counts, reader, session, stop)
    if counts.missing and context.list_new:
        store.listings.mark_short(context.listing_key)
    return counts


def shortage(counts: ScrapeCounts, context: ScrapeContext) -> str | None:
    """Return how many pictures are missing, why, and what to do; None where none are."""
    if not counts.missing:
        return None
    params = context.params
    return (
        f"{params.site}: {counts.missing} of {params.limit} pictures are missing: "
        f"{counts.summary()}; {advice(counts, params, list_new=context.list_new)}"
    )


def _run_scheduler(
    context: ScrapeContext,
    counts: ScrapeCounts,
    reader: ListingReader,
    session: Session,
    stop: threading.Event,
) -> None:
    """Take posts of `reader` until enough are accepted or there are no more."""
    context.progress.start("scrape", context.params.limit, "pictures")
    decoder = ThreadPoolExecutor(1)
    try:
        # Pillow warns of damaged metadata. Filters belong to the process, so they enclose the
        # threads.
        with (
            warnings.catch_warnings(action="ignore"),
            BackgroundTasks(context.params.workers, stop) as tasks,
        ):
            scheduler = _Scheduler(context, counts, reader, session, tasks, decoder)
            while scheduler.advance():
                tasks.wait_for_one()
    finally:
        decoder.shutdown(wait=False, cancel_futures=True)
        context.progress.finish()


def _open_session(context: ScrapeContext, stop: threading.Event) -> Session:
    params = context.params
    return Session(
        params.site,
        file_hosts=known_site(params.site).file_hosts,
        contact=params.contact,
        api_interval=params.api_interval,
        file_interval=params.file_interval,
        retries=params.retries,
        timeout=params.timeout,
        connections=params.workers + 1,
        stop=stop,
        log=context.progress.message,
        secrets=Secrets.of(os.environ),
    )


def make_client(params: ScrapeParams, session: Session, *, list_new: bool = True) -> Client:
    """Return the client for the form of `params.site`.

    Raises `UsageError` where it is to list posts, and the site wants a key that is not set.
    """
    if site_form(params) == "danbooru2":
        return DanbooruClient(
            session,
            params.site,
            params.tags,
            params.excluded_tags,
            params.ratings,
            params.min_score,
            params.page_size,
            listing_formats(params),
            credentials(os.environ, user="login"),
        )
    site, keys = known_site(params.site), credentials(os.environ)
    formats = listing_formats(params)
    if site.needs_key and not keys and formats != ("html",) and list_new:
        raise UsageError(f"{params.site}: its API wants a key: {Secrets().advice}")
    return GelbooruClient(
        session,
        params.site,
        params.tags,
        params.excluded_tags,
        params.page_size,
        formats,
        keys,
        site.api,
    )


def _report_resumed_listing(context: ScrapeContext, reader: ListingReader) -> None:
    store = context.store
    if not context.list_new:
        context.progress.message(
            f"{context.params.site}: {store.count_failed()} files could not be fetched before; "
            "nothing new is listed"
        )
    elif reader.resumed_from is not None:
        context.progress.message(
            f"{context.params.site}: going on with the listing begun {reader.resumed_from}; newer "
            "posts are seen with --refresh (no file is fetched again)"
        )


class _Scheduler:
    """Takes posts in order and fetches their files until `limit` are accepted.

    Never are more files being fetched than are still missing, so the accepted posts are the first
    `limit` whose files can be fetched, in whatever order the transfers end. All methods run in one
    thread, except `_bring_into_store`.
    """

    def __init__(
        self,
        context: ScrapeContext,
        counts: ScrapeCounts,
        reader: ListingReader,
        session: Session,
        tasks: BackgroundTasks,
        decoder: Executor,
    ) -> None:
        self._context, self._params, self._store = context, context.params, context.store
        self._counts, self._reader, self._tasks = counts, reader, tasks
        self._session = session
        self._client = make_client(context.params, session, list_new=context.list_new)
        # One picture at a time in one thread: memory would grow with the workers otherwise, and
        # the allocator would keep as much for each of them.
        self._decoder = decoder
        self._fetching = 0
        self._is_listing = False

    def advance(self) -> bool:
        """Start all that can be started now; return whether there is anything to wait for."""
        while self._missing() and self._fetching < self._params.workers and self._reader.has_next():
            self._process(self._reader.pop())
        if self._reader.buffered < min(self._missing(), READ_AHEAD // 2):
            self._list_more()
        return self._fetching > 0 or (self._is_listing and self._missing() > 0)

    def _missing(self) -> int:
        return self._counts.missing - self._fetching

    def _list_more(self) -> None:
        if not self._is_listing and self._reader.can_extend():
            self._is_listing = True
            self._tasks.start(
                partial(self._reader.fetch_page, self._client), self._on_listed, is_large=True
            )

    def _on_listed(self, error: BaseException | None) -> None:
        self._is_listing = False
        if error is not None:
            raise _with_advice_on_listing(error, self._params, self._session)
        self._counts.doubtful_answers = self._client.doubtful_answers
        self._reader.reload()

    def _process(self, post: Post | Malformed) -> None:
        """Accept, reject or begin to fetch the next post of the listing."""
        self._counts.listed += 1
        if isinstance(post, Malformed):
            self._counts.reject_malformed(post)
            self._check_hope("malformed")
        elif reason := rejection_reason(post, self._params):
            self._reject(post, reason)
        elif not self._session.owns(post.file_url):
            self._reject(post, "host")
        else:
            self._process_file(post)

    def _reject(self, post: Post, reason: str) -> None:
        if reason == "host":
            self._counts.reject_host(named_host(post.file_url))
        elif reason == "tags":
            # Others are not searched for, so that posts without them are nothing strange.
            missing = tag_patterns(self._client.searched_tags).missing(post.tags)
            self._counts.reject_tags(missing, post.tags)
        else:
            self._counts.reject(reason)
        if reason in ("host", "tags"):
            self._check_hope(reason)

    def _check_hope(self, reason: str) -> None:
        """Raise `PipelineError` where too many posts were rejected for `reason`, and none fits yet.

        It is not one of the rules: the site lists posts for other tags than it was asked for, has
        its files elsewhere, or has records that are no posts.
        """
        is_first = not (self._fetching or self._counts.accepted or self._counts.failed)
        hopeless = self._counts.misfound if reason == "tags" else self._counts.rejected[reason]
        if is_first and hopeless >= _MAX_HOPELESS:
            raise PipelineError(
                f"{self._params.site}: no picture is accepted: {self._counts.summary()}; "
                f"{advice_on(reason, self._counts, self._params)}"
            )

    def _process_file(self, post: Post) -> None:
        file = self._store.find(post)
        if file is not None and (file.bytes or 0) > self._params.max_bytes:
            self._counts.reject("max_bytes")
        elif not self._context.fetch_files:
            self._accept_by_md5(post, file)
        else:
            self._fetching += 1
            self._tasks.start(
                partial(self._bring_into_store, post), partial(self._on_fetched, post)
            )

    def _bring_into_store(self, post: Post) -> None:
        """Fetch the file of `post`, unless the store or a previous set has it intact.

        A file of the store whose md5 differs from the announced one is fetched again, even where it
        is intact. Raises as `download` does.
        """
        store, url = self._store, post_url(self._params, post)
        file = store.find(post)
        sha256 = file.sha256 if file else None
        intact = sha256 is not None and store.is_intact(sha256)
        if sha256 is not None and not intact:
            path = store.file_path(sha256)
            self._context.progress.message(f"{path}: was damaged on disk, and is replaced")
        if not intact and self._context.previous.copy_to(store, post, url):
            return
        download(post, url, self._session, store, self._params, self._decoder)

    def _on_fetched(self, post: Post, error: BaseException | None) -> None:
        self._fetching -= 1
        if error is None:
            self._accept_by_md5(post, self._store.find(post))
        elif isinstance(error, FetchError) and not isinstance(error, UnreachableError):
            self._fail(post, error)
        else:
            raise _with_advice(error, self._params)

    def _accept_by_md5(self, post: Post, file: StoredFile | None) -> None:
        """Accept `post`; reject it where its `file` is known to have another md5, if params say so.

        A file that is still to be fetched, or fetched again, counts as good. Reject `post` too
        where the file is of another format than `file_types` names, whatever its address says.
        """
        differs = file is not None and file.md5_differs(post) and not file.needs_retry(post)
        if differs and self._params.md5 != "keep":
            self._counts.reject("md5")
            self._counts.count_failure_in_a_row(
                f"{post.file_url} differs from the announced md5",
                "scrape.md5: keep takes such files",
            )
            return
        format = self._store.format_of(file) if file is not None else None
        if format is not None and not accepts_format(self._params, format):
            self._counts.reject("file_types")
            return
        self._counts.accept(post.id, (file.bytes or 0) if file else 0)
        self._counts.show(self._context.progress)

    def _fail(self, post: Post, error: FetchError) -> None:
        if error.reason == "max_bytes":
            self._counts.reject(error.reason)
            return
        if error.reason == "disallowed_header_directives":
            self._counts.reject(error.reason)
            self._counts.count_failure_in_a_row(
                str(error), "scrape.disallowed_header_directives: [] takes such files"
            )
            return
        self._store.record_failure(post, post_url(self._params, post), error.reason)
        self._counts.fail(error.reason, str(error))
        self._counts.count_failure_in_a_row(
            str(error),
            advice_on_failures(error.reason),
            is_refusal=error.is_refusal or error.reason in _REFUSALS,
        )
        self._counts.show(self._context.progress)


def _with_advice_on_listing(
    error: BaseException, params: ScrapeParams, session: Session
) -> BaseException:
    """Return `error`, with advice where it is of the site's answer."""
    if isinstance(error, UnreachableError) or not isinstance(error, FetchError):
        return _with_advice(error, params)
    if _may_be_of_another_form(error, params, session):
        return PipelineError(f"{error}; if it is a Danbooru 2 site, set scrape.form to danbooru2")
    return PipelineError(f"{error}; {advice_on_listing(error.reason)}")


def _may_be_of_another_form(error: FetchError, params: ScrapeParams, session: Session) -> bool:
    """Return whether the site may not have the pages that its form was taken for."""
    if params.form != "auto" or site_form(params) != "gelbooru02":
        return False
    if error.reason == "robots_txt":
        # That of Danbooru forbids all but some pages.
        return session.allows(f"{params.site}/posts")
    return error.reason == "http_404"


def _with_advice(error: BaseException, params: ScrapeParams) -> BaseException:
    """Return `error`, with advice where the site cannot be reached."""
    if isinstance(error, UnreachableError):
        hint = did_you_mean_site(params.site)
        return PipelineError(f"{error}{hint}; {error.advice}, then run this again")
    return error
