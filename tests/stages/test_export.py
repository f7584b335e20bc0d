"""`pipeline export` as a user types it."""

import re
from pathlib import Path

import onnx

from tests.stages.program import pipeline


def test_a_shipped_model_is_written_and_checked(tmp_path: Path) -> None:
    result = pipeline(tmp_path, "export", "sr.onnx", "--model", "distortion")
    assert (result.code, result.problems) == (0, [])
    assert re.fullmatch(r"sr\.onnx: \d\.\d MB, within \d\.\de-0\d of PyTorch\n", result.out)
    onnx.checker.check_model(tmp_path / "sr.onnx")


def test_without_its_packages_it_says_which(tmp_path: Path) -> None:
    (tmp_path / "onnxruntime.py").write_text("raise ImportError('no', name='onnxruntime')")
    result = pipeline(tmp_path, "export", "sr.onnx", PYTHONPATH=str(tmp_path))
    assert (result.code, result.err) == (
        2,
        "export: onnxruntime is not installed; pip install 'anime-sr-pipeline[onnx]'\n",
    )
    assert not (tmp_path / "sr.onnx").exists()
