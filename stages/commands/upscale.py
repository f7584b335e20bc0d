"""`pipeline upscale`: anyone's pictures, enlarged by a trained generator."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.errors import Interrupted, PipelineError, UsageError
from pipeline.upscaling.params import MAX_TILE, MIN_TILE, UpscaleParams, upscale_params
from stages.console import ConsoleProgress
from stages.typed_options import options_from

if TYPE_CHECKING:
    from pipeline.upscaling.pictures import Picture
    from pipeline.upscaling.plan import Job


def parse_tile(text: str) -> int | None:
    """Return a tile's side, LR pixels; None for "auto". Raises `UsageError`."""
    if text == "auto":
        return None
    if not text.isdecimal() or not MIN_TILE <= int(text) <= MAX_TILE:
        raise UsageError(
            f"--tile: {text} is neither auto nor a number of pixels from {MIN_TILE} on"
        )
    return int(text)


@options_from(
    UpscaleParams,
    model={"metavar": "auto|NAME|FILE"},
    tile={"metavar": "auto|PIXELS", "parser": parse_tile},
)
def upscale(
    pictures: Annotated[
        list[Path],
        typer.Argument(help="pictures, and folders of pictures (PNG, JPEG, WebP, ...); -: a pipe"),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="file for one picture, folder, or - for a pipe; without it, beside each picture "
            "as NAME_x4.png, and for a folder FOLDER_x4",
        ),
    ] = None,
    *,
    params: dict[str, Any],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace existing files")] = False,
) -> None:
    """Enlarge pictures with a trained generator.

    Colours and transparency, the 16 bits of PNG and TIFF, resolution, metadata and the frames of
    animations are kept, as far as the format has them. Of several pictures those are left out that
    have their result already. A picture has 100 million pixels at most, all frames together.
    """
    from pipeline.upscaling.batch import upscale_all
    from pipeline.upscaling.model_choice import UpscalerChooser
    from pipeline.upscaling.plan import choose_encoding, plan_jobs

    options = upscale_params(**params)
    encoding = replace(
        choose_encoding(options.format, options.quality, output),
        strip_metadata=options.strip_metadata,
    )
    chooser = UpscalerChooser.from_params(options)
    plan = plan_jobs(pictures, output, encoding.format, f"_x{chooser.scale:g}")
    _report_left_out(plan.left_out)
    is_single = len(plan.jobs) == 1 and not plan.left_out
    pending = plan.jobs if overwrite else _pending(plan.jobs, is_single)

    def print_written(job: "Job", picture: "Picture") -> None:
        if job.writes_file:
            height, width = picture.frames[0].shape[:2]
            print(f"{job.target}: {width}×{height}, by {chooser.shown_name(picture)}", flush=True)

    if not pending:
        return
    try:
        problems = upscale_all(pending, chooser, encoding, print_written, ConsoleProgress())
    except KeyboardInterrupt:
        if len(pending) > 1:
            raise
        raise Interrupted("interrupted; the same command begins the picture again") from None
    if problems:
        raise PipelineError("\n".join(problems))


def _report_left_out(results: list[Path]) -> None:
    """Say which pictures are the results of others, as `*` gives them in the next call."""
    if len(results) == 1:
        print(f"{results[0]}: left out, as it is the result of another picture", file=sys.stderr)
    elif results:
        print(
            f"{results[0]} and {len(results) - 1} more: left out, as they are the results of other "
            "pictures",
            file=sys.stderr,
        )


def _pending(jobs: "list[Job]", is_single: bool) -> "list[Job]":
    """Return the jobs without a result. Raises `UsageError` for a single picture that has one."""
    pending = [job for job in jobs if not (job.writes_file and job.target.exists())]
    if is_single and not pending:
        raise UsageError(
            f"{jobs[0].target}: exists, made with whatever options; -o names another file, "
            "--overwrite replaces it"
        )
    if existing := len(jobs) - len(pending):
        print(
            f"{existing} of {len(jobs)} exist, made with whatever options; -o names another "
            "folder, --overwrite replaces them",
            file=sys.stderr,
        )
    return pending
