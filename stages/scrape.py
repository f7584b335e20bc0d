"""`pipeline scrape`: a site's newest pictures, exactly as many as asked for, in `data/raw`."""

from pathlib import Path

from pipeline.params import ScrapeParams
from stages.common import Stage, run_stage
from stages.console import ConsoleProgress

STORE = Path("data/.store")
RAW = Path("data/raw")
REPORT = Path("reports/scrape.json")


def run(params: ScrapeParams) -> None:
    """Fetch pictures from a Gelbooru 0.2 site into data/raw."""
    from pipeline.booru.scraping import scrape

    progress = ConsoleProgress()
    result = scrape(params, STORE, RAW, REPORT, progress)
    progress.message(
        f"{RAW}: {result.accepted} pictures, {result.bytes / 1e6:.1f} MB; {result.listed} posts "
        f"listed, {sum(result.rejected.values())} rejected, {sum(result.failed.values())} failed; "
        f"counts by reason are in {REPORT}"
    )


STAGE = Stage("scrape", run)

if __name__ == "__main__":
    run_stage(STAGE)
