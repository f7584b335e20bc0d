"""`pipeline manifest`: the images that are trained on and measured, in `data/manifest.csv`."""

from pathlib import Path

from pipeline.params import ManifestParams
from stages.common import Stage, run_stage
from stages.console import ConsoleProgress

RAW = Path("data/raw")
RESIZED = Path("data/resized")
MANIFEST = Path("data/manifest.csv")
REPORT = Path("reports/manifest.json")


def run(params: ManifestParams) -> None:
    """Drop duplicates, choose and split: data/manifest.csv."""
    from pipeline.selecting import build_manifest

    progress = ConsoleProgress()
    result = build_manifest(params, RAW, RESIZED, MANIFEST, REPORT, progress)
    progress.message(
        f"{MANIFEST}: {result.rows} images, {result.train} for training, {result.val} for "
        f"validation, {result.test} for testing; counts are in {REPORT}"
    )


STAGE = Stage("manifest", run)

if __name__ == "__main__":
    run_stage(STAGE)
