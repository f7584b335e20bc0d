"""Scrape a site: the files of its newest acceptable posts, in a folder that holds only them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.files import write_text, writing
from pipeline.params import ScrapeParams
from pipeline.progress import Progress, Silent
from pipeline.scraping.context import ScrapeContext
from pipeline.scraping.dry_run import Plan, plan_files
from pipeline.scraping.job import run_job, shortage
from pipeline.scraping.posts import Post
from pipeline.scraping.previous_sets import PreviousSets
from pipeline.scraping.raw_set import SetEntry, reported, try_replacing, write_set
from pipeline.scraping.selection import check_rules
from pipeline.scraping.sites import post_url
from pipeline.scraping.store import Store, naming_faults


@dataclass(frozen=True)
class ScrapeReport:
    """Counts of a scrape.

    `listed` counts the posts from the newest to the oldest accepted one, or all pictures of a
    folder. `bytes` and `md5_mismatches` are of the accepted files; a folder announces no md5, so
    that the latter is None. `rejected` counts posts by the
    param that they do not fit, or by `host`, `malformed`, `duplicates` or `undecodable`; `failed`
    counts them by why their file could not be fetched. With `until`, the largest accepted id, as
    `scrape.until` the same posts are selected again, as long as the site has them; None for a
    folder.
    """

    accepted: int
    listed: int
    bytes: int
    md5_mismatches: int | None
    rejected: dict[str, int]
    failed: dict[str, int]
    until: int | None = None


def scrape(
    params: ScrapeParams,
    store_folder: Path,
    raw: Path,
    report: Path,
    progress: Progress = Silent(),
    *,
    retry_failed: bool = False,
    refresh: bool = False,
    previous: PreviousSets = PreviousSets(),
) -> ScrapeReport:
    """Fill `raw` with the newest `params.limit` acceptable posts of `params.site`.

    Files are fetched into the store once, or copied from `previous`, and linked into `raw`, which
    is replaced as a whole; `report` gets the counts as JSON. The next call continues an interrupted
    one. With `retry_failed` nothing is listed: only posts of earlier listings are used; with
    `refresh` none of them are. Raises `UsageError` for params that no post can fit, `PipelineError`
    if fewer than `limit` do.
    """
    check_rules(params)
    try_replacing(raw)
    with _open_store(store_folder, progress) as store:
        context = ScrapeContext(
            params, store, progress, previous, list_new=not retry_failed, refresh=refresh
        )
        counts = run_job(context)
        if missing := shortage(counts, context):
            raise PipelineError(f"{missing} (all that was fetched stays in {store.folder})")
        posts = store.listings.posts(context.listing_key, counts.newest_first)
        entries = (_set_entry(params, store, post) for post in posts)
        # Copies to another disk take their time.
        size, mismatches = write_set(reported(entries, len(counts.accepted), progress), raw)
    result = ScrapeReport(
        accepted=len(counts.accepted),
        listed=counts.listed,
        bytes=size,
        md5_mismatches=mismatches,
        rejected=dict(counts.rejected),
        failed=dict(counts.failed),
        until=counts.newest_first[0],
    )
    write_report(report, result)
    return result


def plan(
    params: ScrapeParams,
    store_folder: Path,
    progress: Progress = Silent(),
    *,
    refresh: bool = False,
    previous: PreviousSets = PreviousSets(),
) -> Plan:
    """Return the posts that `scrape` would accept, and the sizes of their files.

    Fetches the listing only, and keeps it for the scrape, which would replace posts whose files
    cannot be fetched by older ones. Raises `UsageError` as `scrape` does.
    """
    check_rules(params)
    with _open_store(store_folder, progress) as store:
        context = ScrapeContext(
            params, store, progress, previous, refresh=refresh, fetch_files=False
        )
        counts = run_job(context)
        posts = store.listings.posts(context.listing_key, counts.newest_first)
        return Plan(
            tuple(plan_files(posts, store, previous)),
            dict(counts.rejected),
            shortage(counts, context),
        )


def write_report(report: Path, result: ScrapeReport) -> None:
    """Write the counts as JSON. Raises `PipelineError`."""
    with writing(report):
        write_text(report, json.dumps(asdict(result), indent=2, sort_keys=True) + "\n")


def _set_entry(params: ScrapeParams, store: Store, post: Post) -> SetEntry:
    file = store.find(post)
    assert file is not None
    assert file.sha256 is not None
    assert file.md5 is not None
    assert file.bytes is not None
    path = store.file_path(file.sha256)
    return SetEntry(post, post_url(params, post), path, file.bytes, file.sha256, file.md5)


@contextmanager
def _open_store(folder: Path, progress: Progress) -> Iterator[Store]:
    advice = "; mend that, then run the same command again (what was fetched is kept)"
    try:
        with naming_faults(folder, advice), Store(folder, progress.message) as store:
            yield store
    except MemoryError:
        raise PipelineError(f"{folder}: not enough memory; run the same command again") from None
