"""Take the posts of a listing in order: list ahead, fetch files in threads, accept or reject."""

from concurrent.futures import Executor
from functools import partial

from pipeline.errors import PipelineError
from pipeline.params import ScrapeParams
from pipeline.scraping.addresses import named_host
from pipeline.scraping.advice import advice_on, advice_on_failures, advice_on_listing
from pipeline.scraping.background import BackgroundTasks
from pipeline.scraping.client import Client
from pipeline.scraping.context import ScrapeContext
from pipeline.scraping.counts import ScrapeCounts
from pipeline.scraping.download import download
from pipeline.scraping.fetch_errors import FetchError, UnreachableError
from pipeline.scraping.listing_reader import READ_AHEAD, ListingReader
from pipeline.scraping.posts import Malformed, Post
from pipeline.scraping.selection import accepts_format, rejection_reason
from pipeline.scraping.session import Session
from pipeline.scraping.sites import did_you_mean_site, post_url, site_form
from pipeline.scraping.store import StoredFile
from pipeline.tag_patterns import tag_patterns

# Posts in a row, from the first on, that no param rejects but the site's own layout.
_MAX_HOPELESS = 100
# Other files would not come, either.
_REFUSALS = frozenset({"empty_file", "http_429", "no_robots_txt"})


class Scheduler:
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
        client: Client,
        tasks: BackgroundTasks,
        decoder: Executor,
    ) -> None:
        self._context, self._params, self._store = context, context.params, context.store
        self._counts, self._reader, self._tasks = counts, reader, tasks
        self._session, self._client = session, client
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
