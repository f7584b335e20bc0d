"""`pipeline export` as a user types it."""

import re
from pathlib import Path

import onnx
import pytest

from tests.stages.program import pipeline


def test_the_default_model_is_written_and_checked(tmp_path: Path) -> None:
    result = pipeline(tmp_path, "export", "sr.onnx")
    assert (result.code, result.problems) == (0, [])
    assert re.fullmatch(r"sr\.onnx: \d\.\d MB, within \d\.\de-0\d of PyTorch\n", result.out)
    onnx.checker.check_model(tmp_path / "sr.onnx")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["model.safetensors"], 2, "is what is written, and must end in .onnx"),
        (["old.onnx"], 2, "old.onnx: exists; --overwrite replaces it"),
        (["old.onnx/new.onnx"], 1, "cannot be written: "),
        (["new.onnx", "--model", "old.onnx"], 1, "old.onnx: no whole safetensors file"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, arguments: list[str], code: int, message: str) -> None:
    (tmp_path / "old.onnx").write_text("mine")
    result = pipeline(tmp_path, "export", *arguments)
    assert (result.code, len(result.problems)) == (code, 1)
    assert message in result.err
    assert (tmp_path / "old.onnx").read_text() == "mine"


def test_without_its_packages_it_says_which(tmp_path: Path) -> None:
    (tmp_path / "onnxruntime.py").write_text("raise ImportError('no', name='onnxruntime')")
    result = pipeline(tmp_path, "export", "sr.onnx", PYTHONPATH=str(tmp_path))
    assert (result.code, result.err) == (
        2,
        "export: onnxruntime is not installed; pip install 'anime-sr-pipeline[onnx]'\n",
    )
    assert not (tmp_path / "sr.onnx").exists()
