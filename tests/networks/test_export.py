"""Generators as ONNX files: the same results elsewhere, at any size."""

from pathlib import Path

import onnxruntime
import pytest
import torch

from pipeline.errors import PipelineError
from pipeline.networks import (
    PLKSR,
    RCAN,
    SPAN,
    Compact,
    Generator,
    RRDBNet,
    SRResNet,
    export,
)
from pipeline.networks.export import export_onnx
from pipeline.networks.files import load_generator
from pipeline.shipped import shipped_models


@pytest.mark.parametrize(
    "network",
    [
        SRResNet(blocks=1, features=8, norm="batch"),
        SRResNet(blocks=1, features=8, norm="none", skip="bicubic", upsampling="direct"),
        RRDBNet(blocks=1, features=8, growth=4),
        RRDBNet(scale=1, blocks=1, features=8, growth=4),
        RCAN(groups=1, blocks=1, features=16),
        Compact(blocks=1, features=8),
        SPAN(features=8),
        PLKSR(blocks=1, features=8, kernel=5),
    ],
    ids=["stages", "direct", "rrdb", "1x", "rcan", "compact", "span", "plksr"],
)
def test_onnxruntime_gives_what_torch_gives(network: Generator, tmp_path: Path) -> None:
    assert export_onnx(network.eval(), tmp_path / "a.onnx") <= 1e-5
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"]
    session = onnxruntime.InferenceSession(tmp_path / "a.onnx")
    lr = torch.rand(3, 3, 13, 8)
    (sr,) = session.run(["sr"], {"lr": lr.numpy()})
    with torch.inference_mode():
        torch.testing.assert_close(torch.from_numpy(sr), network(lr), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", shipped_models())
def test_every_shipped_model_is_exported(name: str, tmp_path: Path) -> None:
    network = load_generator(shipped_models()[name]).generator
    export_onnx(network, tmp_path / "a.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "a.onnx")
    lr = torch.rand(1, 3, 11, 17)
    (sr,) = session.run(["sr"], {"lr": lr.numpy()})
    with torch.inference_mode():
        torch.testing.assert_close(torch.from_numpy(sr), network(lr), rtol=0, atol=5e-4)


def test_rounding_may_grow_with_the_values(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = SRResNet(blocks=1, features=8, norm="none")
    with torch.no_grad():
        network.tail.weight.mul_(1e4)
    assert 1e-5 < export_onnx(network, tmp_path / "a.onnx") < 1


def test_weights_that_are_no_numbers_are_not_exported(tmp_path: Path) -> None:
    network = SRResNet(blocks=1, features=8, norm="none")
    torch.nn.init.constant_(network.tail.weight, float("nan"))
    with pytest.raises(
        PipelineError, match=r"a\.onnx: not written: .* differ from PyTorch's by nan"
    ):
        export_onnx(network, tmp_path / "a.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_differs_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "TOLERANCE", -1.0)
    with pytest.raises(PipelineError, match=r"a\.onnx: not written: .* differ from PyTorch's by"):
        export_onnx(SRResNet(blocks=1, features=8, norm="none"), tmp_path / "a.onnx")
    assert list(tmp_path.iterdir()) == []
