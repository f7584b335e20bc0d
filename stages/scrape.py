"""`pipeline scrape`: a site's newest pictures, exactly as many as asked for, in `data/raw`."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.errors import UsageError
from pipeline.params import ScrapeParams
from stages.common import Stage, run_stage
from stages.console import ConsoleProgress

if TYPE_CHECKING:
    from pipeline.booru.planning import Planned
    from pipeline.booru.scraping import ScrapeReport

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
) -> None:
    """Fetch pictures from a Gelbooru 0.2 site into data/raw."""
    from pipeline.booru.scraping import plan, scrape

    progress = ConsoleProgress()
    if dry_run:
        if retry_failed:
            raise UsageError("--dry-run and --retry-failed: give one of them")
        _tell_plan(plan(params, STORE, progress), progress)
        return
    result = scrape(params, STORE, RAW, REPORT, progress, retry_failed=retry_failed)
    for line in _summary(result):
        progress.message(line)


def _tell_plan(planned: "list[Planned]", progress: ConsoleProgress) -> None:
    for entry in planned:
        post, about = entry.post, "" if entry.stored else "~"
        state = "stored" if entry.stored else "fetch"
        size = f"{about}{entry.bytes / 1e6:.2f} MB"
        typer.echo(f"{post.id}\t{post.width}×{post.height}\t{size}\t{state}\t{post.file_url}")
    missing = [entry.bytes for entry in planned if not entry.stored]
    progress.message(
        f"{len(planned)} pictures: {len(planned) - len(missing)} are stored, {len(missing)} would "
        f"be fetched, about {sum(missing) / 1e6:.1f} MB"
    )


def _summary(result: "ScrapeReport") -> list[str]:
    """The counts as a table, a row a kind, with the reasons behind them."""
    mismatches = f"{result.md5_mismatches} differ from the announced md5"
    rows = [
        ("accepted", result.accepted, f"{result.bytes / 1e6:.1f} MB in {RAW}; {mismatches}"),
        ("rejected", sum(result.rejected.values()), _reasons(result.rejected)),
        ("failed", sum(result.failed.values()), _reasons(result.failed)),
        ("listed", result.listed, f"these counts are in {REPORT}"),
    ]
    return [f"{name:<9}{count:>7}  {told}".rstrip() for name, count, told in rows]


def _reasons(counts: dict[str, int]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in Counter(counts).most_common())


STAGE = Stage("scrape", run)

if __name__ == "__main__":
    run_stage(STAGE)
