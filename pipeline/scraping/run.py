"""The scrape: the newest acceptable posts of a site, whole, in a folder that holds only them."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.files import write_text
from pipeline.machine_errors import fault_text
from pipeline.params import ScrapeParams
from pipeline.progress import Progress, Silent
from pipeline.scraping.adoption import EarlierSets
from pipeline.scraping.dry_run import Plan, expected
from pipeline.scraping.job import Job
from pipeline.scraping.posts import Post
from pipeline.scraping.raw_set import Entry, check_place, post_url, write_set
from pipeline.scraping.selection import check_rules
from pipeline.scraping.store import Store


@dataclass(frozen=True)
class ScrapeReport:
    """What became of the posts, from the newest to the oldest that was taken.

    `bytes` and `md5_mismatches` are of the accepted files; `rejected` counts by the param that a
    post did not fit (or `host`, `malformed`), `failed` by what kept its file from being had.
    """

    accepted: int
    listed: int
    bytes: int
    md5_mismatches: int
    rejected: dict[str, int]
    failed: dict[str, int]


def scrape(
    params: ScrapeParams,
    store: Path,
    raw: Path,
    report: Path,
    progress: Progress = Silent(),  # noqa: B008
    *,
    retry_failed: bool = False,
    earlier: EarlierSets = EarlierSets(),  # noqa: B008
) -> ScrapeReport:
    """Fill `raw` with the newest `params.limit` acceptable posts of `params.site`.

    Files are fetched into the folder `store` once, or taken from `earlier`, and linked into `raw`,
    which is replaced as a whole; `report` gets the counts as JSON. An interrupted or killed call is
    continued by the next. With `retry_failed` nothing is listed: the posts known from earlier runs
    must do. Raises `UsageError` for params that cannot be met, `PipelineError` if the limit was
    not.
    """
    check_rules(params)
    check_place(raw)
    with _opened(store) as kept:
        job = Job(params, kept, progress, earlier=earlier, listing_allowed=not retry_failed)
        job.run()
        posts = kept.posts(job.listing_key, sorted(job.accepted, reverse=True))
        entries = (_entry(params.site, kept, post) for post in posts)
        size, mismatches = write_set(entries, raw)
    result = ScrapeReport(
        accepted=len(job.accepted),
        listed=job.listed,
        bytes=size,
        md5_mismatches=mismatches,
        rejected=dict(job.rejected),
        failed=dict(job.failed),
    )
    write_report(report, result)
    return result


def write_report(report: Path, result: ScrapeReport) -> None:
    """Write the counts as JSON. Raises `PipelineError`."""
    try:
        write_text(report, json.dumps(asdict(result), indent=2, sort_keys=True) + "\n")
    except OSError as error:
        raise PipelineError(f"{report}: cannot be written: {fault_text(error)}") from None


def plan(
    params: ScrapeParams,
    store: Path,
    progress: Progress = Silent(),  # noqa: B008
    *,
    earlier: EarlierSets = EarlierSets(),  # noqa: B008
) -> Plan:
    """The posts that `scrape` would take, and what it would fetch for them.

    Only the listing is fetched, and kept for the scrape. Posts whose files turn out not to be had
    would be replaced by older ones. Raises as `scrape` does.
    """
    check_rules(params)
    with _opened(store) as kept:
        job = Job(params, kept, progress, earlier=earlier, fetching_allowed=False)
        job.run()
        posts = kept.posts(job.listing_key, sorted(job.accepted, reverse=True))
        return Plan(tuple(expected(posts, kept, earlier)), dict(job.rejected))


def _entry(site: str, store: Store, post: Post) -> Entry:
    file = store.find(post)
    assert file is not None
    assert file.sha256 is not None
    assert file.md5 is not None
    assert file.bytes is not None
    path = store.path(file.sha256)
    return Entry(post, post_url(site, post), path, file.bytes, file.sha256, file.md5)


@contextmanager
def _opened(folder: Path) -> Iterator[Store]:
    try:
        with Store(folder) as store:
            yield store
    except (OSError, sqlite3.Error) as error:
        raise PipelineError(
            f"{folder}: cannot be written or read: {error}; mend that, then run the same command "
            "again (what was fetched is kept)"
        ) from error
    except MemoryError:
        raise PipelineError(f"{folder}: not enough memory; run the same command again") from None
