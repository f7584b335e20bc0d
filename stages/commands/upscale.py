"""`pipeline upscale`: anyone's pictures, enlarged by a trained generator."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.errors import PipelineError, UsageError
from pipeline.shipped import AUTO
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

    Transparency, 16 bits of a PNG, colour profiles, resolution and the frames of animations are
    kept, as far as the format has them. Of several pictures those are left out that have their
    result already. A picture has 100 million pixels at most, all frames together.
    """
    from pipeline.upscaling.batch import upscale_all
    from pipeline.upscaling.model_choice import UpscalerChooser
    from pipeline.upscaling.plan import choose_encoding, plan_jobs

    options = upscale_params(**params)
    encoding = choose_encoding(options.format, options.quality, output)
    chooser = UpscalerChooser.from_params(options)
    jobs = plan_jobs(pictures, output, encoding.format, f"_x{chooser.scale:g}")
    _report_left_out(pictures, jobs)
    pending = jobs if overwrite else _pending(jobs, single=len(pictures) == len(jobs) == 1)

    def print_written(job: "Job", picture: "Picture") -> None:
        if job.writes_file:
            height, width = picture.frames[0].shape[:2]
            model = f", by {chooser.model_name(picture)}" if chooser.model == AUTO else ""
            print(f"{job.target}: {width}×{height}{model}", flush=True)

    if pending:
        problems = upscale_all(pending, chooser, encoding, print_written, ConsoleProgress())
        if problems:
            raise PipelineError("\n".join(problems))


def _report_left_out(pictures: list[Path], jobs: "list[Job]") -> None:
    """Name the pictures that are results of others, as `*` gives them in the next run."""
    sources = {job.source for job in jobs}
    for path in pictures:
        if path not in sources and path.is_file():
            print(f"{path}: left out, it is the result of another picture", file=sys.stderr)


def _pending(jobs: "list[Job]", single: bool) -> "list[Job]":
    """Return the jobs without a result. Raises `UsageError` for a single picture that has one."""
    pending = [job for job in jobs if not (job.writes_file and job.target.exists())]
    if single and not pending:
        raise UsageError(
            f"{jobs[0].target}: exists already, whatever options made it; --overwrite replaces it, "
            "-o writes another file"
        )
    if existing := len(jobs) - len(pending):
        print(
            f"{existing} of {len(jobs)} exist already, whatever options made them; --overwrite "
            "replaces them",
            file=sys.stderr,
        )
    return pending
