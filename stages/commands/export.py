"""`pipeline export`: a generator as an ONNX file."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.errors import UsageError
from pipeline.shipped import DEFAULT


def export(
    output: Annotated[Path, typer.Argument(help="ONNX file that is written")],
    model: Annotated[
        str,
        typer.Option(help="one of `pipeline models`, or a generator's file", metavar="NAME|FILE"),
    ] = DEFAULT,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace a file")] = False,
) -> None:
    """Write a generator as an ONNX file, for any size of picture, and check it with onnxruntime.

    Its input `lr` and its output `sr` are RGB in [0, 1], (N, 3, h, w); `sr` may overshoot.
    """
    from pipeline.networks.export import export_onnx
    from pipeline.networks.files import load_generator
    from pipeline.shipped import model_file

    if output.suffix.lower() != ".onnx":
        raise UsageError(f"{output}: is what is written, and must end in .onnx; see --model")
    if output.exists() and not overwrite:
        raise UsageError(f"{output}: exists; --overwrite replaces it")
    difference = export_onnx(load_generator(model_file(model)).generator, output)
    print(f"{output}: {output.stat().st_size / 1e6:.1f} MB, within {difference:.1e} of PyTorch")
