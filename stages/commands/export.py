"""`pipeline export`: a generator as a file for other programs."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.errors import UsageError
from pipeline.exported_files import Format, Precision, default_output, exported_files
from pipeline.shipped import DEFAULT, model_file
from stages.output_files import check_output

if TYPE_CHECKING:
    from pipeline.networks.files import LoadedGenerator

OUTPUT_SUFFIXES = (".onnx", ".param")
LONG_PARAMETERS = 4_000_000


def export(
    model: Annotated[
        str | None,
        typer.Argument(
            help=f"one of `pipeline models`, or a generator's file; {DEFAULT} if none is named. "
            "A name that ends in .onnx or .param is the output instead"
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="file that is written: .onnx, .param (ncnn; .bin beside it), .safetensors or "
            ".pth; 4x-MODEL with the format's ending if none is named",
        ),
    ] = None,
    format: Annotated[
        Format | None,
        typer.Option(
            help="onnx if neither this nor the output's ending tells",
            metavar="onnx|ncnn|safetensors|pth",
        ),
    ] = None,
    precision: Annotated[
        Precision,
        typer.Option(help="of the weights, and in ONNX of what is computed", metavar="fp32|fp16"),
    ] = "fp32",
    opset: Annotated[
        int | None,
        typer.Option(min=18, max=23, help="version of ONNX's operators; PyTorch's choice if unset"),
    ] = None,
    named_model: Annotated[
        str | None, typer.Option("--model", help="the same as MODEL", metavar="NAME|FILE")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace a file")] = False,
) -> None:
    """Write a generator as a file for other programs, for any size of picture.

    ONNX and ncnn hold the network; onnxruntime and ncnn then check that it gives what PyTorch
    gives. ONNX: input `lr` and output `sr` are RGB in [0, 1], (N, 3, h, w), in fp32 whatever
    `--precision`; `sr` may overshoot. ncnn: blobs `data` and `output`.

    safetensors and pth hold the weights alone, named as spandrel knows them: for chaiNNer, ComfyUI
    and others, but not for SRResNet, which no other program knows.
    """
    from pipeline.model_header import scale_in_header

    name, output = _model_and_output(model, named_model, output)
    path, loaded = model_file(name), None
    if output is None:
        scale = scale_in_header(path)
        if scale is None:
            loaded = _load(path)
            scale = loaded.generator.scale
        output = default_output(Path(name).stem, scale, precision, format)
    chosen, files = exported_files(output, format)
    if opset is not None and chosen != "onnx":
        raise UsageError(f"--opset: is ONNX's, and has no meaning for {chosen}")
    for file in files:
        check_output(file, overwrite)
    loaded = loaded or _load(path)
    count = loaded.generator.parameter_count
    if chosen in ("onnx", "ncnn") and count > LONG_PARAMETERS:
        what = f"writing and checking {count:,} parameters, which takes a minute"
        print(f"{files[0]}: {what}", file=sys.stderr)
    checked = _write(loaded, files[0], chosen, precision, opset)
    size = sum(file.stat().st_size for file in files) / 1e6
    print(f"{' and '.join(map(str, files))}: {size:.1f} MB{checked}")


def _model_and_output(
    model: str | None, named_model: str | None, output: Path | None
) -> tuple[str, Path | None]:
    """Return the model and the output that are meant. Raises `UsageError` if two are named."""
    if model is not None and model.lower().endswith(OUTPUT_SUFFIXES):
        if output is not None:
            raise UsageError(f"--output: {output} beside {model}, an output too; name one")
        if named_model is None and Path(model).exists():
            raise UsageError(
                f"{model}: exists, and may be a model; -o {model} --overwrite replaces it, and "
                "nothing else can be made from an exported file"
            )
        return named_model or DEFAULT, Path(model)
    if model is not None and named_model is not None:
        raise UsageError(f"--model: {named_model} beside {model}; name one model")
    return model or named_model or DEFAULT, output


def _load(path: Path) -> "LoadedGenerator":
    """Return the generator of a file. It loads PyTorch."""
    from pipeline.networks.files import load_named_generator

    return load_named_generator("model", path)


def _write(
    loaded: "LoadedGenerator", path: Path, chosen: Format, precision: Precision, opset: int | None
) -> str:
    """Write a model's file or files. Returns what is said of the check against PyTorch."""
    from pipeline.networks.export import export_ncnn, export_onnx, export_weights

    generator = loaded.generator
    if chosen == "onnx":
        difference = export_onnx(generator, path, precision, opset)
    elif chosen == "ncnn":
        difference = export_ncnn(generator, path, precision)
    else:
        export_weights(generator, path, precision, loaded.metadata)
        return ""
    return f", within {difference:.1e} of PyTorch"
