"""`pipeline scrape`: fetch a site's newest pictures, exactly `scrape.limit`, into `data/raw`."""

import os
from collections import Counter
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.errors import PipelineError, UsageError
from pipeline.params import ScrapeParams
from pipeline.params.site import is_folder
from stages.console import ConsoleProgress
from stages.paths import DATA, RAW, REPORTS, RESIZED, STORE
from stages.runner import Stage, project_folder, run_stage

if TYPE_CHECKING:
    from pipeline.scraping.dry_run import Plan
    from pipeline.scraping.previous_sets import PreviousSets
    from pipeline.scraping.run import ScrapeReport

REPORT = REPORTS / "scrape.json"

DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="list what would be fetched, and how many bytes; fetch no file"),
]
RetryFailed = Annotated[
    bool,
    typer.Option(
        "--retry-failed", help="list nothing new; fetch again the files that failed before"
    ),
]
Refresh = Annotated[
    bool,
    typer.Option("--refresh", help="list anew, newest posts first; fetch no file again"),
]
Check = Annotated[
    bool,
    typer.Option(
        "--check",
        help="fetch nothing; compare every file with its hash, and remove damaged ones from "
        f"{STORE} and DVC's cache, so that the next run fetches them again",
    ),
]


def run(
    params: ScrapeParams,
    progress: ConsoleProgress,
    dry_run: DryRun = False,
    retry_failed: RetryFailed = False,
    refresh: Refresh = False,
    check: Check = False,
) -> None:
    """Fetch pictures from a Gelbooru 0.2 or Danbooru 2 site into data/raw."""
    _check_data_folder()
    # The project's store, also for an experiment in a temporary copy, which DVC removes afterwards.
    store = project_folder() / STORE
    if check:
        if dry_run or retry_failed or refresh:
            raise UsageError("--check: takes none of --dry-run, --retry-failed, --refresh")
        _check_files(store, progress)
    elif is_folder(params.site):
        options = {"--dry-run": dry_run, "--retry-failed": retry_failed, "--refresh": refresh}
        if given := [name for name, is_given in options.items() if is_given]:
            from pipeline.scraping.folder import site_folder

            folder = site_folder(params.site, project_folder())
            problem = "is a folder, of which nothing is fetched; leave the option out"
            raise UsageError(f"{given[0]}: {folder}: {problem}")
        _scrape_folder(params, progress)
    elif retry_failed and (dry_run or refresh):
        raise UsageError("--retry-failed: takes neither --dry-run nor --refresh")
    elif dry_run:
        _plan(params, store, progress, refresh=refresh)
    else:
        _scrape_site(params, store, progress, retry_failed=retry_failed, refresh=refresh)


def _check_files(store: Path, progress: ConsoleProgress) -> None:
    from pipeline.scraping.tracked_sets import list_tracked_objects
    from pipeline.scraping.verification import check_files

    count = check_files(store, RAW, progress, cached=list_tracked_objects(RAW))
    progress.message(f"{count} files checked: all are intact")


def _scrape_folder(params: ScrapeParams, progress: ConsoleProgress) -> None:
    from pipeline.scraping.folder import scrape_folder

    project = project_folder()
    results = [project / folder for folder in (RAW, RESIZED, REPORTS)]
    result = scrape_folder(params, RAW, REPORT, progress, project, results)
    _print_table(_report_rows(result), progress)


def _plan(params: ScrapeParams, store: Path, progress: ConsoleProgress, *, refresh: bool) -> None:
    from pipeline.scraping.run import plan

    planned = plan(params, store, progress, refresh=refresh, previous=_previous_sets())
    _print_plan(planned, progress)


def _scrape_site(
    params: ScrapeParams,
    store: Path,
    progress: ConsoleProgress,
    *,
    retry_failed: bool,
    refresh: bool,
) -> None:
    from pipeline.scraping.run import scrape

    result = scrape(
        params,
        store,
        RAW,
        REPORT,
        progress,
        retry_failed=retry_failed,
        refresh=refresh,
        previous=_previous_sets(),
    )
    _print_table(_report_rows(result), progress)


def _previous_sets() -> "PreviousSets":
    from pipeline.scraping.previous_sets import PreviousSets
    from pipeline.scraping.tracked_sets import find_previous_sets

    return PreviousSets(partial(find_previous_sets, RAW))


def _check_data_folder() -> None:
    """Raise `PipelineError` under DVC where `data` is a link out of the project.

    DVC would refuse to track the set in the end. Without DVC such a link is fine.
    """
    folder = RAW.parent.resolve()
    if os.environ.get("DVC_STAGE") and not folder.is_relative_to(Path.cwd().resolve()):
        raise PipelineError(
            f"{RAW.parent}: leads to {folder}, out of the project, where DVC tracks nothing; make "
            f"it a folder here (on another disk there may be {STORE}, as a link, and DVC's cache, "
            "by `dvc cache dir`)"
        )


def _print_plan(planned: "Plan", progress: ConsoleProgress) -> None:
    for entry in planned.accepted:
        post, approximately = entry.post, "" if entry.stored else "~"
        state = "stored" if entry.stored else "fetch"
        size = f"{approximately}{entry.bytes / 1e6:.2f} MB"
        print(f"{post.id}\t{post.width}×{post.height}\t{size}\t{state}\t{post.file_url}")
    missing = sum(not entry.stored for entry in planned.accepted)
    least, most = (f"{size / 1e6:.1f}" for size in planned.bytes_to_fetch)
    size = f"about {least} MB" if least == most else f"{least} to {most} MB, estimated by pixels"
    rows = [
        ("stored", len(planned.accepted) - missing, ""),
        ("to fetch", missing, size),
        ("rejected", sum(planned.rejected.values()), _reasons(planned.rejected)),
    ]
    _print_table(rows, progress)
    if planned.shortage is not None:
        raise PipelineError(planned.shortage)


def _report_rows(result: "ScrapeReport") -> list[tuple[str, int, str]]:
    again = "" if result.until is None else f"; again by scrape.until={result.until}"
    differing = result.md5_mismatches
    mismatches = "" if differing is None else f"; {differing} differ from the announced md5"
    return [
        ("accepted", result.accepted, f"{result.bytes / 1e6:.1f} MB in {RAW}{mismatches}"),
        ("rejected", sum(result.rejected.values()), _reasons(result.rejected)),
        ("failed", sum(result.failed.values()), _reasons(result.failed)),
        ("listed", result.listed, f"these counts are in {REPORT}{again}"),
    ]


def _print_table(rows: Iterable[tuple[str, int, str]], progress: ConsoleProgress) -> None:
    """Print one line per row of name, count and details."""
    for name, count, details in rows:
        progress.message(f"{name:<9}{count:>7}  {details}".rstrip())


def _reasons(counts: dict[str, int]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in Counter(counts).most_common())


STAGE = Stage("scrape", run, DATA)

if __name__ == "__main__":
    run_stage(STAGE)
