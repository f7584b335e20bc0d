"""Bring the files of the first posts that fit into the store, from a site's listing."""

import os
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from pipeline.errors import UsageError
from pipeline.params import ScrapeParams
from pipeline.scraping.advice import advice
from pipeline.scraping.background import BackgroundTasks
from pipeline.scraping.client import Client, credentials
from pipeline.scraping.context import ScrapeContext
from pipeline.scraping.counts import ScrapeCounts
from pipeline.scraping.danbooru import DanbooruClient
from pipeline.scraping.gelbooru import GelbooruClient
from pipeline.scraping.listing_reader import ListingReader
from pipeline.scraping.scheduler import Scheduler
from pipeline.scraping.secrets import Secrets
from pipeline.scraping.session import Session
from pipeline.scraping.sites import known_site, listing_formats, site_form


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
            client = make_client(context.params, session, list_new=context.list_new)
            scheduler = Scheduler(context, counts, reader, session, client, tasks, decoder)
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
