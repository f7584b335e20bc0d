"""`pipeline export` as a user types it."""

import os
import re
from pathlib import Path

import onnx
import pytest

from pipeline.networks import RRDBNet, SRResNet
from pipeline.networks.files import load_generator, save_generator
from tests.stages.program import ROOT, pipeline


def test_the_default_model_is_written_and_checked(tmp_path: Path) -> None:
    result = pipeline(tmp_path, "export", "sr.onnx")
    assert (result.code, result.problems) == (0, [])
    assert re.fullmatch(r"sr\.onnx: \d\.\d MB, within \d\.\de-0\d of PyTorch\n", result.out)
    onnx.checker.check_model(tmp_path / "sr.onnx")


def test_a_model_is_written_under_its_name(tmp_path: Path) -> None:
    result = pipeline(tmp_path, "export", "web", "--precision", "fp16", "--opset", "18")
    assert (result.code, result.problems) == (0, [])
    assert result.out.startswith("4x-web-fp16.onnx: ")
    (opset,) = onnx.load(tmp_path / "4x-web-fp16.onnx").opset_import
    assert opset.version == 18


def test_ncnn_has_two_files(tmp_path: Path) -> None:
    pytest.importorskip("ncnn", reason="ncnn is not installed here")
    result = pipeline(tmp_path, "export", "web", "--format", "ncnn")
    assert (result.code, result.problems) == (0, [])
    assert result.out.startswith("4x-web.param and 4x-web.bin: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["4x-web.bin", "4x-web.param"]


def test_weights_keep_the_metadata_of_their_file(tmp_path: Path) -> None:
    generator = RRDBNet(blocks=1, features=8)
    save_generator(tmp_path / "mine.safetensors", generator, {"step": "7"})
    result = pipeline(tmp_path, "export", "mine.safetensors", "--format", "safetensors")
    assert (result.code, result.out, result.err) == (0, "4x-mine.safetensors: 0.9 MB\n", "")
    assert load_generator(tmp_path / "4x-mine.safetensors").metadata["step"] == "7"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["model.safetensors"], 2, "MODEL: model.safetensors: no such file"),
        (["-o", "sr"], 2, "sr: is what is written, and must end in one of .onnx"),
        (["-o", "sr.onnx", "--format", "pth"], 2, "sr.onnx: its ending says onnx"),
        (["web", "--format", "pth"], 2, "4x-web.pth: other programs know no network like this"),
        (["web", "--model", "distortion"], 2, "--model: distortion beside web; name one model"),
        (["sr.onnx", "-o", "b.onnx"], 2, "--output: b.onnx beside sr.onnx"),
        (["-o", "sr.param", "--opset", "18"], 2, "--opset: is ONNX's"),
        (["-o", "sr.onnx", "--opset", "17"], 2, "--opset"),
        (["-o", "old.onnx"], 2, "old.onnx: exists; --overwrite replaces it"),
        (["-o", "folder.onnx", "--overwrite"], 2, "folder.onnx: is a folder; name a file"),
        (["old.onnx", "--overwrite"], 2, "old.onnx: exists, and may be a model"),
        (["old.onnx/new.onnx"], 2, "old.onnx is a file, and no folder"),
        (["new.onnx", "--model", "old.onnx"], 2, "--model: old.onnx: is text, not a model"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, arguments: list[str], code: int, message: str) -> None:
    (tmp_path / "old.onnx").write_text("mine")
    (tmp_path / "folder.onnx").mkdir()
    result = pipeline(tmp_path, "export", *arguments)
    assert (result.code, len(result.problems)) == (code, 1)
    assert message in result.err
    assert (tmp_path / "old.onnx").read_text() == "mine"


@pytest.mark.parametrize(
    ("package", "output", "extra"),
    [("onnxruntime", "sr.onnx", "onnx"), ("ncnn", "sr.param", "ncnn"), ("pnnx", "sr.bin", "ncnn")],
)
def test_without_its_packages_it_says_which(
    package: str, output: str, extra: str, tmp_path: Path
) -> None:
    missing = tmp_path / f"{package}.py"
    missing.write_text(f"raise ImportError('no', name='{package}')")
    paths = os.pathsep.join((str(tmp_path), str(ROOT)))
    result = pipeline(tmp_path, "export", "-o", output, PYTHONPATH=paths)
    assert (result.code, result.err) == (
        2,
        f"export: {package} is not installed; pip install 'anime-sr-pipeline[{extra}]'\n",
    )
    assert {path.name for path in tmp_path.iterdir()} - {"__pycache__"} == {missing.name}


def test_a_large_model_takes_a_line_for_its_time(tmp_path: Path) -> None:
    large = SRResNet(blocks=1, features=448, norm="none", upsampling="direct")
    save_generator(tmp_path / "large.safetensors", large, {})
    result = pipeline(tmp_path, "export", "large.safetensors")
    assert result.code == 0
    expected = "writing and checking 5,723,250 parameters, which takes a minute"
    assert result.err == f"4x-large.onnx: {expected}\n"
