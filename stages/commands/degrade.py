"""`pipeline degrade`: a contact sheet of what degradations do to pictures."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from pipeline.errors import PipelineError, UsageError
from pipeline.params import TrainParams
from pipeline.params.degradation import DAMAGES, Damage
from pipeline.progress import task
from stages.console import ConsoleProgress
from stages.output_files import check_output

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pipeline.images.degradation_sheet import Kind

DEFAULT_SCALE = 4


def degrade(
    pictures: Annotated[list[Path], typer.Argument(metavar="PICTURE...", help="pictures, HR")],
    output: Annotated[Path, typer.Option("--output", "-o", help="PNG file that is written")] = Path(
        "degraded.png"
    ),
    preset: Annotated[
        list[str] | None,
        typer.Option(
            metavar="light|web|heavy", help="degradation that is shown; repeatable; all if unset"
        ),
    ] = None,
    params: Annotated[
        Path | None,
        typer.Option(
            help="params file whose train.degradation, with its strengths and train.scale, is shown"
        ),
    ] = None,
    draws: Annotated[int, typer.Option(min=1, max=16, help="LR images of each degradation")] = 4,
    crop: Annotated[
        int, typer.Option(min=16, max=2048, help="side of the detail that is shown, HR pixels")
    ] = 256,
    seed: Annotated[int, typer.Option(min=0, help="seed of the draws")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace a file")] = False,
) -> None:
    """Write a contact sheet: details of pictures, and LR images that training would see of them.

    LR is enlarged by nearest neighbour, and labelled with what was drawn for it. The detail is the
    part of the picture with most edges. The same seed gives the same sheet.
    """
    from pipeline.files import atomic_path, writing

    _check_output(output, pictures, overwrite)
    names = _presets(preset or ()) or (DAMAGES if params is None else ())
    train = None if params is None else _train_params(params)
    scale = DEFAULT_SCALE if train is None else train.scale
    details = [(path.name, _detail(path, crop, scale)) for path in pictures]
    progress, rows = ConsoleProgress(), len(pictures) * (len(names) + (train is not None))
    with task(progress, "degradations", rows, "rows"):
        # Whatever is wrong with arguments is found before these load PyTorch.
        from pipeline.images.degradation import degradation_of
        from pipeline.images.degradation_sheet import Sheet

        kinds: dict[str, Kind] = {name: degradation_of(name) for name in names}
        if params is not None and train is not None and train.degradation != "none":
            kind = degradation_of(train.degradation, train.degradation_strengths)
            kinds[f"{train.degradation} ({params.name})"] = kind
        sheet = Sheet(kinds, draws, scale, seed).draw(details, progress)
    with writing(output), atomic_path(output) as temporary:
        sheet.save(temporary, "PNG", optimize=True)
    print(f"{output}: {', '.join(kinds)}; LR images of each: {draws}")


def _check_output(output: Path, pictures: Iterable[Path], overwrite: bool) -> None:
    """Raise `UsageError` where the sheet would have a wrong name, or take another file's place."""
    if output.suffix.lower() != ".png":
        raise UsageError(f"--output: {output}: the sheet is PNG; give it a name that ends in .png")
    if output.exists() and any(path.exists() and path.samefile(output) for path in pictures):
        raise UsageError(f"--output: {output}: is one of the pictures; name another file")
    check_output(output, overwrite)


def _presets(names: Collection[str]) -> Sequence[Damage]:
    """Return the presets of these names, each once. Raises `UsageError`."""
    for name in names:
        if name not in DAMAGES:
            raise UsageError(f"--preset: {name!r} is not one of {', '.join(DAMAGES)}")
    return [cast(Damage, name) for name in dict.fromkeys(names)]


def _train_params(file: Path) -> TrainParams:
    """Return the section `train` of a params file. Raises `UsageError` where it damages nothing."""
    from pipeline.params.file import load_params

    train = load_params(file).train
    if train.degradation == "none":
        raise UsageError(f"{file}: train.degradation is none; set it to {', '.join(DAMAGES)}")
    return train


def _detail(path: Path, side: int, scale: int) -> "NDArray[np.uint8]":
    """Return the part of a picture that is shown. Raises `PipelineError`."""
    from pipeline.images.decode import ImageRefused, decode
    from pipeline.images.detailed_crop import detailed_crop
    from pipeline.params import ResizeParams
    from pipeline.params.section import MAX_DECODED_PIXELS

    try:
        pixels = decode(path.read_bytes(), MAX_DECODED_PIXELS, ResizeParams().background).pixels
        return detailed_crop(pixels, side, scale)
    except OSError as error:
        raise PipelineError(f"{path}: cannot be read: {error.strerror}") from None
    except ImageRefused as refusal:
        problem = (
            f"an animation of {refusal.text}" if refusal.reason == "animated" else refusal.text
        )
        raise PipelineError(f"{path}: {problem}; name another picture") from None
    except ValueError as error:
        raise PipelineError(f"{path}: {error}; name a larger picture") from None
