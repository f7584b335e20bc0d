"""Names of exported files: ids of OpenModelDB, and formats by their endings."""

from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.exported_files import Format, default_output, exported_files, model_id


@pytest.mark.parametrize(
    ("name", "scale", "expected"),
    [
        ("perception", 4, "4x-perception"),
        ("article-perception", 4, "4x-article-perception"),
        ("my_model v1.0", 2, "2x-my-model-v1-0"),
        ("4x-mine", 4, "4x-mine"),
        ("4xMine", 4, "4x-Mine"),
        ("mine_x4", 4, "4x-mine"),
        ("2x-mine", 4, "4x-2x-mine"),
        ("4x", 4, "4x-4x"),
        ("絵", 4, "4x-model"),
    ],
)
def test_ids_are_as_openmodeldb_writes_them(name: str, scale: int, expected: str) -> None:
    assert model_id(name, scale) == expected


def test_a_name_says_precision_and_format() -> None:
    assert default_output("web", 4, "fp32", None) == Path("4x-web.onnx")
    assert default_output("web", 4, "fp16", "ncnn") == Path("4x-web-fp16.param")


@pytest.mark.parametrize(
    ("output", "format", "chosen", "names"),
    [
        ("a.onnx", None, "onnx", ["a.onnx"]),
        ("a.ONNX", None, "onnx", ["a.ONNX"]),
        ("d/a.param", None, "ncnn", ["d/a.param", "d/a.bin"]),
        ("a.v1.bin", None, "ncnn", ["a.v1.param", "a.v1.bin"]),
        ("a.v1", "ncnn", "ncnn", ["a.v1.param", "a.v1.bin"]),
        ("a.pth", "pth", "pth", ["a.pth"]),
    ],
)
def test_an_ending_tells_the_format(
    output: str, format: Format | None, chosen: Format, names: list[str]
) -> None:
    assert exported_files(Path(output), format) == (chosen, [Path(name) for name in names])


def test_an_ending_that_tells_nothing_or_another_format_is_an_error() -> None:
    with pytest.raises(
        UsageError, match=r"a\.zip: is what is written, and must end in one of \.onnx"
    ):
        exported_files(Path("a.zip"), None)
    with pytest.raises(UsageError, match=r"a\.onnx: its ending says onnx, but --format pth"):
        exported_files(Path("a.onnx"), "pth")
