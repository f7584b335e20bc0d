"""`pipeline resize`: originals as lossless squares of `resize.size` pixels, in `data/resized`."""

from pipeline.params import ResizeParams
from stages.console import ConsoleProgress
from stages.paths import DATA, RAW, REPORTS, RESIZED, STORE
from stages.runner import Stage, run_stage

REPORT = REPORTS / "resize.json"
KEPT_SHARDS = STORE / "resized"


def run(params: ResizeParams, progress: ConsoleProgress) -> None:
    """Scale the originals to squares of one size, lossless."""
    import torch

    from pipeline.resizing.run import resize

    # One thread per core works already, each on another picture.
    torch.set_num_threads(1)
    result = resize(params, RAW, RESIZED, REPORT, KEPT_SHARDS, progress)
    progress.message(
        f"{RESIZED}: {result.images} images in {result.shards} shards, "
        f"{result.bytes / 1e6:.1f} MB; {len(result.refusals)} originals refused, "
        f"listed in {REPORT}"
    )


STAGE = Stage("resize", run, DATA)

if __name__ == "__main__":
    run_stage(STAGE)
