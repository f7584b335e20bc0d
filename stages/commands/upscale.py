"""`pipeline upscale`: anyone's pictures, enlarged by a trained generator."""

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.errors import PipelineError, UsageError
from pipeline.shipped import AUTO, CLEAN_JPEG, DEFAULT, FOR_JPEG
from stages.console import ConsoleProgress

if TYPE_CHECKING:
    from pipeline.upscaling.batch import Encoding, Job
    from pipeline.upscaling.pictures import Picture


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
    model: Annotated[
        str,
        typer.Option(
            help="generator to enlarge with: one of `pipeline models`, or a file of ours, ESRGAN's "
            f"or RCAN's; auto: {DEFAULT}, but {FOR_JPEG} for JPEG files of a quality below "
            f"{CLEAN_JPEG}",
            metavar="auto|NAME|FILE",
        ),
    ] = AUTO,
    alpha: Annotated[
        float | None,
        typer.Option(
            help="instead of a model, a place between the two that come with the program: 0 "
            "distortion, nearest to the original, 1 perception, best to look at",
            show_default=False,
        ),
    ] = None,
    scale: Annotated[
        float | None,
        typer.Option(
            help="times as wide and high, 1 to 16: by the model as often as it takes, then made "
            "smaller  [default: the model's, 4]",
            show_default=False,
        ),
    ] = None,
    tta: Annotated[
        bool,
        typer.Option(
            "--tta",
            help="take the mean over the picture turned and mirrored eight ways: nearer to the "
            "original and less sharp, for eight times the time",
        ),
    ] = False,
    format: Annotated[
        str | None,
        typer.Option(
            help="png, webp, jpg or gif  [default: by --output's ending, else png]",
            show_default=False,
        ),
    ] = None,
    quality: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=100,
            help="of jpg, and of webp, which has no loss without it  [default: 95 of jpg]",
            show_default=False,
        ),
    ] = None,
    tile: Annotated[
        str,
        typer.Option(
            help="side of a tile, pixels of the picture: less takes less memory; auto: by what is "
            "free",
            metavar="auto|PIXELS",
        ),
    ] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps")] = "auto",
    precision: Annotated[
        str,
        typer.Option(help="fp32, bf16, or auto: bf16 where the hardware computes in it"),
    ] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace existing files")] = False,
) -> None:
    """Enlarge pictures with a trained generator.

    Transparency, 16 bits of a PNG, colour profiles, resolution and the frames of animations are
    kept, as far as the format has them. Of several pictures those are left out that have their
    result already. A picture has 100 million pixels at most, all frames together.
    """
    from pipeline.upscaling.batch import PIPE, plan, upscale_all
    from pipeline.upscaling.model_choice import Chooser, chosen
    from pipeline.upscaling.upscaler import Upscaler

    encoding = _encoding(format, quality, output)
    wanted = DEFAULT if model == AUTO and alpha is not None else model
    make = partial(
        Upscaler,
        alpha=alpha,
        scale=scale,
        tta=tta,
        tile=_tile(tile),
        device=device,
        precision=precision,
    )
    chooser = Chooser(wanted, make)
    jobs = plan(pictures, output, encoding.format, f"_x{chooser.scale:g}")
    waiting = jobs if overwrite else _without_result(jobs)

    def tell(job: "Job", picture: "Picture") -> None:
        height, width = picture.frames[0].shape[:2]
        if job.target != PIPE:
            by = f", by {chosen(wanted, picture)}" if wanted == AUTO else ""
            print(f"{job.target}: {width}×{height}{by}", flush=True)

    problems = upscale_all(waiting, chooser, encoding, tell, ConsoleProgress()) if waiting else []
    if problems:
        raise PipelineError("\n".join(problems))


def _encoding(format: str | None, quality: int | None, output: Path | None) -> "Encoding":
    from pipeline.upscaling.batch import Encoding
    from pipeline.upscaling.encoding import FORMATS

    named = None if output is None or output.is_dir() else FORMATS.get(output.suffix.lower())
    chosen = format or named or "png"
    if chosen not in FORMATS.values():
        raise UsageError(f"--format: {chosen} is unknown; use png, webp, jpg or gif")
    if named is not None and named != chosen:
        raise UsageError(f"--format: {chosen} is not what --output {output} is called")
    if quality is not None and chosen in ("png", "gif"):
        raise UsageError(f"--quality: {chosen} has none; it is for jpg and webp")
    return Encoding(chosen, quality)


def _tile(text: str) -> int | None:
    if text == "auto":
        return None
    if not text.isdecimal() or not 16 <= int(text) <= 65_536:
        raise UsageError(f"--tile: {text} is neither auto nor a number of pixels from 16 on")
    return int(text)


def _without_result(jobs: "list[Job]") -> "list[Job]":
    from pipeline.upscaling.batch import PIPE

    waiting = [job for job in jobs if job.target == PIPE or not job.target.exists()]
    if len(jobs) == 1 and not waiting:
        raise UsageError(f"{jobs[0].target}: exists; --overwrite replaces it")
    if left := len(jobs) - len(waiting):
        print(f"{left} of {len(jobs)} exist already; --overwrite replaces them", file=sys.stderr)
    return waiting
