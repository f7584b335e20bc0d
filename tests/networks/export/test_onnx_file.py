"""Generators as ONNX files: the same results elsewhere, at any size."""

from pathlib import Path

import onnx
import onnxruntime
import pytest
import torch

from pipeline.errors import PipelineError, UsageError
from pipeline.networks import RCAN, Generator, RRDBNet, SRResNet
from pipeline.networks.export import comparison, export_onnx, onnx_file
from pipeline.networks.export.onnx_file import MAX_OPSET, MIN_OPSET
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
    ],
    ids=["stages", "direct", "rrdb", "1x", "rcan"],
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
    monkeypatch.setitem(comparison.TOLERANCES, "fp32", -1.0)
    with pytest.raises(PipelineError, match=r"a\.onnx: not written: .* differ from PyTorch's by"):
        export_onnx(SRResNet(blocks=1, features=8, norm="none"), tmp_path / "a.onnx")
    assert list(tmp_path.iterdir()) == []


def test_half_precision_is_between_an_input_and_an_output_in_fp32(tmp_path: Path) -> None:
    network = load_generator(shipped_models()["perception"]).generator
    difference = export_onnx(network, tmp_path / "a.onnx", "fp16")
    export_onnx(network, tmp_path / "whole.onnx")
    assert difference < 1 / 255
    assert (tmp_path / "a.onnx").stat().st_size < 0.6 * (tmp_path / "whole.onnx").stat().st_size
    graph = onnx.load(tmp_path / "a.onnx").graph
    for value in (*graph.input, *graph.output):
        assert value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    half = [each for each in graph.initializer if each.data_type == onnx.TensorProto.FLOAT16]
    assert len(half) > 2 * 32


@pytest.mark.parametrize("opset", [MIN_OPSET, MAX_OPSET])
def test_the_version_of_operators_is_chosen(opset: int, tmp_path: Path) -> None:
    network = SRResNet(blocks=1, features=8, norm="none", skip="bicubic")
    export_onnx(network, tmp_path / "a.onnx", opset=opset)
    assert onnx.load(tmp_path / "a.onnx").opset_import[0].version == opset


def test_versions_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    network = SRResNet(blocks=1, features=8, norm="none")
    with pytest.raises(UsageError, match="opset: 17 is not from 18 to"):
        export_onnx(network, tmp_path / "a.onnx", opset=17)
    assert list(tmp_path.iterdir()) == []


class Branching(SRResNet):
    """A network whose path depends on the picture."""

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        return super().forward(lr if lr.mean() > 0.5 else 1 - lr)


def test_a_network_that_pytorch_does_not_export_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_file, "portable", lambda network, precision: network)
    with pytest.raises(PipelineError, match=r"\Aexport: PyTorch does not turn this .*\Z"):
        export_onnx(Branching(blocks=1, features=8, norm="none").eval(), tmp_path / "a.onnx")
    assert list(tmp_path.iterdir()) == []


def test_readers_find_the_scale_by_inferring_shapes(tmp_path: Path) -> None:
    # As chaiNNer and vs-mlrt do.
    network = SRResNet(scale=2, blocks=1, features=8, norm="none", skip="bicubic")
    export_onnx(network, tmp_path / "a.onnx")
    model = onnx.load(tmp_path / "a.onnx")
    sizes = model.graph.input[0].type.tensor_type.shape.dim
    for index, size in {0: 1, 2: 16, 3: 24}.items():
        sizes[index].dim_value = size
    for dimension in model.graph.output[0].type.tensor_type.shape.dim:
        dimension.Clear()
    del model.graph.value_info[:]
    inferred = onnx.shape_inference.infer_shapes(model).graph.output[0]
    assert [each.dim_value for each in inferred.type.tensor_type.shape.dim] == [1, 3, 32, 48]


def test_openvino_gives_what_torch_gives(tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino", reason="openvino is not installed here")
    network = load_generator(shipped_models()["perception"]).generator
    export_onnx(network, tmp_path / "a.onnx")
    accuracy = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(tmp_path / "a.onnx", "CPU", accuracy)
    lr = torch.rand(1, 3, 11, 17)
    sr = torch.from_numpy(compiled(lr.numpy())["sr"])
    with torch.inference_mode():
        torch.testing.assert_close(sr, network(lr), rtol=0, atol=5e-4)
