"""Generators as ONNX files: the same results elsewhere, at any size."""

from pathlib import Path

import onnxruntime
import pytest
import torch

from pipeline.errors import PipelineError
from pipeline.networks import RCAN, Generator, RRDBNet, SRResNet, exporting
from pipeline.networks.exporting import export_onnx


@pytest.mark.parametrize(
    "network",
    [
        SRResNet(blocks=1, features=8, norm="batch"),
        SRResNet(blocks=1, features=8, norm="none", skip="bicubic", upsampling="direct"),
        RRDBNet(blocks=1, features=8, growth=4),
        RCAN(groups=1, blocks=1, features=16),
    ],
    ids=["stages", "direct", "rrdb", "rcan"],
)
def test_onnxruntime_gives_what_torch_gives(network: Generator, tmp_path: Path) -> None:
    assert export_onnx(network.eval(), tmp_path / "a.onnx") <= 1e-5
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"]
    session = onnxruntime.InferenceSession(tmp_path / "a.onnx")
    lr = torch.rand(3, 3, 13, 8)
    (sr,) = session.run(["sr"], {"lr": lr.numpy()})
    with torch.inference_mode():
        torch.testing.assert_close(torch.from_numpy(sr), network(lr), rtol=0, atol=1e-5)


def test_a_file_that_differs_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "TOLERANCE", -1.0)
    with pytest.raises(PipelineError, match=r"a\.onnx: not written: .* differ by"):
        export_onnx(SRResNet(blocks=1, features=8, norm="none"), tmp_path / "a.onnx")
    assert list(tmp_path.iterdir()) == []
