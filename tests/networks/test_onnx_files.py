"""ONNX files as models."""

import pickle
from pathlib import Path

import pytest
import torch

from pipeline.errors import PipelineError
from pipeline.networks import SRResNet
from pipeline.networks.files import load_generator
from pipeline.upscaling.upscaler import Upscaler

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed here")
pytest.importorskip("onnxruntime", reason="the extra onnx is not installed here")


def graph(
    path: Path, kind: int, shape: list[object], scale: int, across: int | None = None
) -> Path:
    """A network that repeats each pixel `scale` times, or `across` times in its row."""
    helper = onnx.helper
    node = helper.make_node("Resize", ["x", "", "scales"], ["y"], mode="nearest")
    scales = helper.make_tensor("scales", 1, [4], [1.0, 1.0, scale, across or scale])
    ends = [helper.make_tensor_value_info(name, kind, shape) for name in "xy"]
    ends[1] = helper.make_tensor_value_info("y", kind, ["n", shape[1], "hh", "ww"])
    made = helper.make_graph([node], "repeat", ends[:1], ends[1:], [scales])
    opset = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(made, opset_imports=opset, ir_version=10), path)
    return path


@pytest.mark.parametrize("kind", [1, 10], ids=["fp32", "fp16"])
@pytest.mark.parametrize(("channels", "scale"), [(3, 2), (1, 4), (3, 1)])
def test_pictures_are_enlarged(kind: int, channels: int, scale: int, tmp_path: Path) -> None:
    path = graph(tmp_path / "model.onnx", kind, ["n", channels, "h", "w"], scale)
    upscaler = Upscaler(path, device="cpu", tile=32)
    picture = torch.randint(256, (3, 70, 50), dtype=torch.uint8)
    expected = picture.repeat_interleave(scale, 1).repeat_interleave(scale, 2)
    assert upscaler.scale == scale
    assert torch.equal(upscaler(picture), expected)
    assert torch.equal(pickle.loads(pickle.dumps(upscaler))(picture), expected)
    generator = load_generator(path).generator
    assert (generator.receptive_radius, generator.tile_multiple) == (1, 1)


@pytest.mark.slow
def test_an_exported_model_gives_the_same(tmp_path: Path) -> None:
    from pipeline.networks.export import export_onnx

    torch.manual_seed(0)
    network = SRResNet(blocks=1, features=8, norm="none", skip="bicubic").eval()
    export_onnx(network, tmp_path / "model.onnx")
    loaded = load_generator(tmp_path / "model.onnx")
    assert loaded.metadata["architecture"] == "ONNX"
    lr = torch.rand(2, 3, 9, 13)
    with torch.inference_mode():
        assert (loaded.generator(lr) - network(lr)).abs().max() < 1e-4


def test_what_is_no_network_for_pictures_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    with pytest.raises(PipelineError, match=r"model\.onnx: no such file; "):
        load_generator(path)
    path.write_bytes(b"\x08\x07 nothing")
    with pytest.raises(PipelineError, match=r"model\.onnx: no network for pictures: [^\n]*$"):
        load_generator(path)
    graph(path, 1, ["n", 6, "h", "w"], 2)
    with pytest.raises(PipelineError, match=r"its input is tensor\(float\) of shape \['n', 6"):
        load_generator(path)
    graph(path, 1, ["n", 3, "h", "w"], 2, across=1)
    with pytest.raises(PipelineError, match=r"of 64 × 64 pixels it makes \(1, 3, 128, 64\)"):
        load_generator(path)
    graph(path, 1, [1, 3, 64, 64], 2)
    with pytest.raises(PipelineError, match=r"it takes pictures of shape \[1, 3, 64, 64\] only"):
        load_generator(path)


def test_a_graph_that_takes_even_sizes_alone_is_refused(tmp_path: Path) -> None:
    helper = onnx.helper
    nodes = [
        helper.make_node("SpaceToDepth", ["x"], ["z"], blocksize=2),
        helper.make_node("DepthToSpace", ["z"], ["y"], blocksize=2),
    ]
    ends = [helper.make_tensor_value_info(name, 1, ["n", 3, "h", "w"]) for name in "xy"]
    made = helper.make_graph(nodes, "even", ends[:1], ends[1:])
    opset = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(made, opset_imports=opset, ir_version=10), tmp_path / "m.onnx")
    with pytest.raises(PipelineError, match=r"m\.onnx: no network for pictures: [^\n]*$"):
        load_generator(tmp_path / "m.onnx")
