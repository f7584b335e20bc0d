"""`pipeline upscale`: anyone's pictures, enlarged by a trained generator."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.errors import PipelineError, UsageError
from pipeline.shipped import DEFAULT
from stages.console import ConsoleProgress


def upscale(
    pictures: Annotated[
        list[Path], typer.Argument(help="pictures to enlarge (PNG, JPEG, WebP, ...)")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="file for one picture, or folder; without it, beside each picture as NAME_x4.png",
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            help="generator to enlarge with: one of `pipeline models`, or a file of ours, ESRGAN's "
            "or RCAN's",
            metavar="NAME|FILE",
        ),
    ] = DEFAULT,
    tile: Annotated[
        int,
        typer.Option(min=16, help="side of a tile, pixels of the picture; less takes less memory"),
    ] = 256,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps")] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace existing files")] = False,
) -> None:
    """Enlarge pictures with a trained generator."""
    from pipeline.devices import pick_device
    from pipeline.networks.files import load_generator
    from pipeline.shipped import model_file
    from pipeline.upscaling import Upscaler, read_picture, write_picture

    target_device = pick_device(device)
    loaded = load_generator(model_file(model), target_device)
    targets = _targets(pictures, output, loaded.generator.scale)
    if not overwrite:
        _refuse_existing(targets)
    upscaler = Upscaler(loaded.generator, tile)
    failures = []
    for picture, target in zip(pictures, targets, strict=True):
        try:
            enlarged = upscaler.image(read_picture(picture), ConsoleProgress())
            write_picture(target, enlarged)
        except PipelineError as error:
            failures.append(str(error))
        else:
            print(f"{target}: {enlarged.width}×{enlarged.height}")
    if failures:
        raise PipelineError("\n".join(failures))


def _targets(pictures: list[Path], output: Path | None, scale: int) -> list[Path]:
    from pipeline.upscaling import WRITABLE

    names = [f"{picture.stem}_x{scale}.png" for picture in pictures]
    if output is None:
        targets = [picture.with_name(name) for picture, name in zip(pictures, names, strict=True)]
    elif output.suffix.lower() in WRITABLE and not output.is_dir():
        if len(pictures) > 1:
            raise UsageError(f"--output: {output} is one file, for one picture; name a folder")
        targets = [output]
    elif output.suffix and not output.is_dir():
        raise UsageError(f"--output: {output}: unknown ending; use {', '.join(WRITABLE)}")
    else:
        targets = [output / name for name in names]
    doubles = {target for target in targets if targets.count(target) > 1}
    if doubles:
        raise UsageError(f"--output: two pictures would become {min(doubles)}; enlarge them apart")
    return targets


def _refuse_existing(targets: list[Path]) -> None:
    for target in targets:
        if target.exists():
            raise UsageError(f"{target}: exists; --overwrite replaces it")
