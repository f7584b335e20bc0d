"""`pipeline upscale`: anyone's pictures, enlarged by a trained generator."""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.errors import Interrupted, MachineFaultError, PipelineError, UsageError
from pipeline.shipped import AUTO, DEFAULT, model_file
from pipeline.upscaling.params import MAX_TILE, MIN_TILE, UpscaleParams, upscale_params
from stages.console import ConsoleProgress
from stages.typed_options import options_from

if TYPE_CHECKING:
    from pipeline.upscaling.arrivals import Arrivals
    from pipeline.upscaling.model_choice import UpscalerChooser
    from pipeline.upscaling.plan import Job, Plan, Writing
    from pipeline.upscaling.result_writer import Result


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
    background={"metavar": "COLOUR"},
    tile={"metavar": "auto|PIXELS", "parser": parse_tile},
)
def upscale(
    pictures: Annotated[
        list[str],
        typer.Argument(help="pictures, and folders of pictures (PNG, JPEG, WebP, ...); -: a pipe"),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="file for one picture, folder, or - for a pipe; without it, beside each picture "
            "as NAME_x4.png, and for a folder FOLDER_x4",
        ),
    ] = None,
    *,
    params: dict[str, Any],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace existing files")] = False,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch", help="go on: enlarge pictures as they appear in the folders, until Ctrl-C"
        ),
    ] = False,
) -> None:
    """Enlarge pictures with a trained generator.

    Colours and transparency, the 16 bits of PNG and TIFF, resolution, metadata and the frames of
    animations are kept, as far as the format has them. Of several pictures those are left out that
    have their result already. A picture has 100 million pixels at most, all frames together.
    """
    # What these import is light: whatever is wrong with files is found before PyTorch is loaded.
    from pipeline.upscaling.plan import PIPE, Writing, choose_encoding, plan_jobs

    options = upscale_params(**params)
    inputs = list(dict.fromkeys(map(Path, pictures)))
    target = None if output is None else Path(output)
    into_folder = output is not None and output.endswith(("/", os.sep))
    encoding = replace(
        choose_encoding(options.format, options.quality, None if into_folder else target),
        strip_metadata=options.strip_metadata,
    )
    writing = Writing(encoding, options.background, options.keep_time, overwrite)
    if options.keep_time and PIPE in (*inputs, target):
        raise UsageError("--keep-time: a pipe has no time; name files")
    model = _Model(options)

    def plan() -> "Plan":
        return plan_jobs(inputs, target, encoding.format, model.name_suffix, into_folder)

    if watch:
        _watch(inputs, plan, model, writing)
    else:
        _upscale_once(plan(), model, writing)


class _Model:
    """The model that the options name, loaded when it is first needed."""

    def __init__(self, options: UpscaleParams) -> None:
        self._options = options

    @cached_property
    def chooser(self) -> "UpscalerChooser":
        """The upscaler for each picture."""
        from pipeline.upscaling.model_choice import UpscalerChooser

        return UpscalerChooser.from_params(self._options)

    @cached_property
    def name_suffix(self) -> str:
        """What results are called by; the model is loaded where its file's header has no scale."""
        from pipeline.model_header import scale_in_header
        from pipeline.upscaling.target_size import target_size

        options = self._options
        model = DEFAULT if options.model == AUTO else options.model
        named = options.scale or options.width or options.height
        scale = named or scale_in_header(model_file(model)) or self.chooser.scale
        return target_size(options, scale).name_suffix


def _upscale_once(plan: "Plan", model: _Model, writing: "Writing") -> None:
    from pipeline.upscaling.targets import sort_jobs

    if not (plan.jobs or plan.left_out or plan.unreadable):
        raise UsageError("\n".join([*plan.notes, *plan.counts, *plan.collisions]))
    _print_lines([*plan.notes, *plan.counts])
    _report_left_out(plan.left_out)
    prospects = sort_jobs(plan.jobs, lambda _: writing.overwrite)
    _report_existing(prospects.existing, plan)
    problems = [*plan.unreadable, *plan.collisions, *prospects.problems]
    if jobs := prospects.possible:
        # Before the work, which may take hours.
        _print_lines(problems)
        printed = ["not everything was enlarged; the reasons are above"] if problems else []
        try:
            problems = [*map(str, _enlarge(jobs, model, writing).values()), *printed]
        except KeyboardInterrupt:
            if len(jobs) > 1:
                raise
            raise Interrupted("interrupted; the same command begins the picture again") from None
    if problems:
        raise PipelineError("\n".join(problems))


def _enlarge(
    jobs: "list[Job]",
    model: _Model,
    writing: "Writing",
    on_written: "Callable[[Job], None]" = lambda _: None,
) -> "dict[Job, PipelineError]":
    """Enlarge pictures, print each, and return what went wrong."""
    from pipeline.images.folders import path_text
    from pipeline.upscaling.batch import upscale_all

    def print_written(result: "Result") -> None:
        on_written(result.job)
        if result.job.writes_file:
            width, height = result.picture.size
            shown = model.chooser.shown_name(result.source.picture)
            times = f", applied {result.passes} times" if result.passes > 1 else ""
            how = f"by {shown}{times}" if result.passes else "made smaller without a model"
            print(f"{path_text(result.job.target)}: {width}×{height}, {how}", flush=True)

    chooser = model.chooser
    return upscale_all(
        jobs, chooser, writing, print_written, ConsoleProgress(), prepare=chooser.model_name
    )


def _watch(
    inputs: "list[Path]", plan: "Callable[[], Plan]", model: _Model, writing: "Writing"
) -> None:
    """Enlarge pictures as they appear, until Ctrl-C."""
    from pipeline.upscaling.arrivals import LOOK_SECONDS, Arrivals

    for path in inputs:
        if not path.is_dir():
            raise UsageError(f"--watch: {path} is no folder")
    arrivals, shown = Arrivals(), set[str]()
    try:
        _ = model.chooser
        print(f"watching {', '.join(map(str, inputs))}; Ctrl-C ends", file=sys.stderr)
        while True:
            began = time.monotonic()
            now = plan()
            # A folder of thousands takes a while to look at; most of the time shall be free.
            pause = max(LOOK_SECONDS, 10 * (time.monotonic() - began))
            lines = [
                *(f"{path}: is no folder; waits for it" for path in inputs if not path.is_dir()),
                *(*now.notes, *now.unreadable, *now.collisions),
                *_enlarge_arrivals(now.jobs, arrivals, model, writing),
            ]
            _print_lines(line for line in lines if line not in shown)
            shown = set(lines)
            time.sleep(pause)
    except KeyboardInterrupt:
        raise Interrupted("interrupted") from None


def _enlarge_arrivals(
    jobs: "list[Job]", arrivals: "Arrivals", model: _Model, writing: "Writing"
) -> list[str]:
    """Enlarge what is whole, and return what keeps pictures from being tried, one line for each."""
    from pipeline.upscaling.targets import sort_jobs

    prospects = sort_jobs(
        arrivals.whole(jobs), lambda job: writing.overwrite or arrivals.may_replace(job)
    )
    for job in prospects.existing:
        arrivals.finish(job)
    again = [job for job in prospects.possible if arrivals.may_replace(job)]
    new = [job for job in prospects.possible if job not in again]
    for some, overwrite in ((new, writing.overwrite), (again, True)):
        if some:
            how = replace(writing, overwrite=overwrite)
            failures = _enlarge(some, model, how, arrivals.finish_with_result)
            _print_lines(_new_failures(failures, arrivals))
    return prospects.problems


def _new_failures(failures: "dict[Job, PipelineError]", arrivals: "Arrivals") -> Iterator[str]:
    """Yield what went wrong. What may succeed later is tried again, and said once."""
    for job, error in failures.items():
        if not isinstance(error, MachineFaultError):
            arrivals.finish(job)
            yield str(error)
        elif arrivals.retry(job):
            yield f"{error}; tries again"


def _print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        print(line, file=sys.stderr)


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


def _report_existing(existing: "list[Job]", plan: "Plan") -> None:
    """Say how many results exist. Raises `UsageError` for that of a single picture."""
    if existing and len(plan.jobs) == 1 and not plan.left_out:
        raise UsageError(
            f"{existing[0].target}: exists, made with whatever options; -o names another file, "
            "--overwrite replaces it"
        )
    if existing:
        print(
            f"{len(existing)} of {len(plan.jobs)} exist, made with whatever options; -o names "
            "another folder, --overwrite replaces them",
            file=sys.stderr,
        )
