"""`pipeline scrape`: a site's newest pictures, exactly as many as asked for, in `data/raw`."""

import os
from collections import Counter
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.errors import PipelineError, UsageError
from pipeline.params import ScrapeParams
from stages.console import ConsoleProgress
from stages.runner import Stage, project_folder, run_stage

if TYPE_CHECKING:
    from pipeline.scraping.dry_run import Plan
    from pipeline.scraping.run import ScrapeReport

DATA = Path("data")
STORE = Path("data/.store")
RAW = Path("data/raw")
REPORT = Path("reports/scrape.json")


def run(
    params: ScrapeParams,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="list what would be fetched, and how many bytes; fetch no file"
        ),
    ] = False,
    retry_failed: Annotated[
        bool,
        typer.Option(
            "--retry-failed", help="list nothing new; try again the files that could not be had"
        ),
    ] = False,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="fetch nothing; compare every file with its hash, and drop damaged ones from "
            f"{STORE} and DVC's cache, so that the next run fetches them again",
        ),
    ] = False,
) -> None:
    """Fetch pictures from a Gelbooru 0.2 site into data/raw."""
    from pipeline.scraping.adoption import EarlierSets
    from pipeline.scraping.folder import gather
    from pipeline.scraping.run import plan, scrape
    from pipeline.scraping.tracked_sets import earlier_sets, tracked_objects
    from pipeline.scraping.verification import check_files

    _refuse_outside()
    progress = ConsoleProgress()
    # The site is not asked again for what an experiment fetched in a copy that DVC threw away.
    store = project_folder() / STORE
    if check:
        if dry_run or retry_failed:
            raise UsageError("--check: takes neither --dry-run nor --retry-failed")
        count = check_files(store, RAW, progress, cached=tracked_objects(RAW))
        progress.message(f"{count} files checked: all are whole")
        return
    if params.site.startswith("file:"):
        if dry_run or retry_failed:
            raise UsageError("--dry-run, --retry-failed: nothing is fetched from a folder")
        _print_table(_summary(gather(params, RAW, REPORT, progress)), progress)
        return
    earlier = EarlierSets(partial(earlier_sets, RAW))
    if dry_run:
        if retry_failed:
            raise UsageError("--dry-run and --retry-failed: give one of them")
        _print_plan(plan(params, store, progress, earlier=earlier), progress)
        return
    result = scrape(
        params, store, RAW, REPORT, progress, retry_failed=retry_failed, earlier=earlier
    )
    _print_table(_summary(result), progress)


def _refuse_outside() -> None:
    """Raise where DVC would not take the set in the end, because a link leads out of the project.

    By hand, without DVC, that is no fault.
    """
    folder = RAW.parent.resolve()
    if os.environ.get("DVC_STAGE") and not folder.is_relative_to(Path.cwd().resolve()):
        raise PipelineError(
            f"{RAW.parent}: leads to {folder}, out of the project, where DVC tracks nothing; make "
            f"it a folder here (on another disk there may be {STORE}, as a link, and DVC's cache, "
            "by `dvc cache dir`)"
        )


def _print_plan(planned: "Plan", progress: ConsoleProgress) -> None:
    for entry in planned.taken:
        post, about = entry.post, "" if entry.stored else "~"
        state = "stored" if entry.stored else "fetch"
        size = f"{about}{entry.bytes / 1e6:.2f} MB"
        typer.echo(f"{post.id}\t{post.width}×{post.height}\t{size}\t{state}\t{post.file_url}")
    missing = [entry.bytes for entry in planned.taken if not entry.stored]
    rows = [
        ("stored", len(planned.taken) - len(missing), ""),
        ("to fetch", len(missing), f"about {sum(missing) / 1e6:.1f} MB"),
        ("rejected", sum(planned.rejected.values()), _reasons(planned.rejected)),
    ]
    _print_table(rows, progress)


def _summary(result: "ScrapeReport") -> list[tuple[str, int, str]]:
    mismatches = f"{result.md5_mismatches} differ from the announced md5"
    return [
        ("accepted", result.accepted, f"{result.bytes / 1e6:.1f} MB in {RAW}; {mismatches}"),
        ("rejected", sum(result.rejected.values()), _reasons(result.rejected)),
        ("failed", sum(result.failed.values()), _reasons(result.failed)),
        ("listed", result.listed, f"these counts are in {REPORT}"),
    ]


def _print_table(rows: Iterable[tuple[str, int, str]], progress: ConsoleProgress) -> None:
    """Print rows of a name, a count and a note."""
    for name, count, note in rows:
        progress.message(f"{name:<9}{count:>7}  {note}".rstrip())


def _reasons(counts: dict[str, int]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in Counter(counts).most_common())


STAGE = Stage("scrape", run, DATA)

if __name__ == "__main__":
    run_stage(STAGE)
