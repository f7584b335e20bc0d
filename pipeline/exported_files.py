"""Formats of exported files, and their names; without PyTorch, which takes long to load."""

import re
from pathlib import Path
from typing import Literal, get_args

from pipeline.errors import UsageError

Format = Literal["onnx", "ncnn", "safetensors", "pth"]
Precision = Literal["fp32", "fp16"]

# The first is that of the file that is named; ncnn's weights lie beside it.
SUFFIXES: dict[Format, tuple[str, ...]] = {
    "onnx": (".onnx",),
    "ncnn": (".param", ".bin"),
    "safetensors": (".safetensors",),
    "pth": (".pth",),
}


def format_of(path: Path) -> Format | None:
    """Return the format of which a file's ending tells."""
    return next((each for each in SUFFIXES if path.suffix.lower() in SUFFIXES[each]), None)


def exported_files(output: Path, format: Format | None) -> tuple[Format, list[Path]]:
    """Return the format and the files of an export to `output`, the named one first.

    Raises `UsageError` where neither the ending nor `format` tells, or they contradict each other.
    """
    told = format_of(output)
    if told is None and format is None:
        endings = ", ".join(SUFFIXES[each][0] for each in get_args(Format))
        raise UsageError(
            f"{output}: is what is written, and must end in one of {endings}; --format says which "
            "of them is meant"
        )
    if told is not None and format not in (None, told):
        raise UsageError(f"{output}: its ending says {told}, but --format {format}")
    chosen = format or told
    assert chosen is not None
    if told is not None and output.suffix.lower() == SUFFIXES[chosen][0]:
        return chosen, [output, *(output.with_suffix(suffix) for suffix in SUFFIXES[chosen][1:])]
    stem = output.with_suffix("") if told else output
    return chosen, [stem.with_name(stem.name + suffix) for suffix in SUFFIXES[chosen]]


def model_id(name: str, scale: int) -> str:
    """Return `4x-NAME` as OpenModelDB writes ids: the scale, letters, digits, and dashes between.

    Source: canonicalizeModelId in OpenModelDB's src/lib/schema-util.ts. upscayl and
    realesrgan-ncnn-vulkan find the scale by this `4x`.
    """
    plain = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")
    bare = re.sub(rf"^{scale}x-?|-?(x{scale}|{scale}x)$", "", plain, flags=re.IGNORECASE)
    return f"{scale}x-{bare or plain or 'model'}"


def default_output(name: str, scale: int, precision: Precision, format: Format | None) -> Path:
    """Return the file, in the current folder, to which a model of that name is exported."""
    half = "-fp16" if precision == "fp16" else ""
    return Path(f"{model_id(name, scale)}{half}{SUFFIXES[format or 'onnx'][0]}")
