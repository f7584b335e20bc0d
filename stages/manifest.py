"""`pipeline manifest`: the images for training and evaluation, in `data/manifest.csv`."""

from typing import Annotated

import typer

from pipeline.params import ManifestParams
from stages.console import ConsoleProgress
from stages.paths import DATA, MANIFEST, RAW, REPORTS, RESIZED
from stages.runner import Stage, run_stage

REPORT = REPORTS / "manifest.json"
SHEET = REPORTS / "manifest"


def run(
    params: ManifestParams,
    progress: ConsoleProgress,
    check: Annotated[
        bool,
        typer.Option("--check", help="read every image of data/manifest.csv back, build nothing"),
    ] = False,
) -> None:
    """Remove duplicates, select and split images: data/manifest.csv."""
    import numpy as np

    from pipeline.images.records import read_posts
    from pipeline.manifest.data_sheet import write_datasheet
    from pipeline.manifest.selection import build_manifest
    from pipeline.manifest.verification import check_manifest

    if check:
        count = check_manifest(MANIFEST, RESIZED, progress)
        progress.message(f"{MANIFEST}: {count} images have the listed hashes")
        return
    result = build_manifest(params, RAW, RESIZED, MANIFEST, REPORT, progress)
    random = np.random.default_rng(params.seed)
    write_datasheet(MANIFEST, RESIZED, result.left_out, read_posts(RAW), SHEET, random)
    progress.message(
        f"{MANIFEST}: {result.rows} images, {result.train} for training, {result.val} for "
        f"validation, {result.test} for testing; counts are in {REPORT}, pictures in {SHEET}/"
    )


STAGE = Stage("manifest", run, DATA, read_only_option="check")

if __name__ == "__main__":
    run_stage(STAGE)
