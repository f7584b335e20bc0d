"""Weights as other programs open them: by spandrel, which chaiNNer and ComfyUI use."""

import copy
from pathlib import Path

import pytest
import torch

from pipeline.errors import PipelineError, UsageError
from pipeline.exported_files import Precision
from pipeline.networks import RCAN, RRDBNet, SRResNet
from pipeline.networks.export import export_weights
from pipeline.networks.files import load_generator
from tests.networks.export.networks import networks

NETWORKS = {name: each for name, each in networks().items() if not isinstance(each, SRResNet)}


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
@pytest.mark.parametrize("name", NETWORKS)
def test_spandrel_opens_them(name: str, ending: str, tmp_path: Path) -> None:
    spandrel = pytest.importorskip("spandrel")
    network, path = NETWORKS[name], tmp_path / f"a.{ending}"
    export_weights(network, path)
    model = spandrel.ModelLoader().load_from_file(path)
    lr = torch.rand(1, 3, 12, 16)
    with torch.inference_mode():
        torch.testing.assert_close(model.model(lr), network(lr), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("fp16", torch.half)])
@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_they_are_in_the_precision_that_is_asked_for(
    ending: str, precision: Precision, dtype: torch.dtype, tmp_path: Path
) -> None:
    network, path = NETWORKS["rrdb"], tmp_path / f"a.{ending}"
    export_weights(network, path, precision, {"step": "7"})
    if ending == "pth":
        saved = torch.load(path, weights_only=True)["params_ema"]
        assert {tensor.dtype for tensor in saved.values()} == {dtype}
    loaded = load_generator(path)
    assert loaded.metadata.get("step") == (None if ending == "pth" else "7")
    rounded = copy.deepcopy(network).to(dtype).float().eval()
    lr = torch.rand(1, 3, 8, 8)
    assert (loaded.generator(lr) - rounded(lr)).abs().max() < 1e-5


def test_the_same_weights_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.pth", "b.pth"):
        export_weights(NETWORKS["rcan"], tmp_path / name)
    assert (tmp_path / "a.pth").read_bytes() == (tmp_path / "b.pth").read_bytes()


def test_those_that_no_program_knows_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"a\.pth: other programs know no network like this SRR"):
        export_weights(SRResNet(blocks=1, features=8), tmp_path / "a.pth")
    with pytest.raises(UsageError, match=r"a\.pth: other programs open RRDB networks of growth 32"):
        export_weights(RRDBNet(blocks=1, features=8, growth=16), tmp_path / "a.pth")
    with pytest.raises(UsageError, match=r"a\.pth: other programs take RRDB networks of scale 3 f"):
        export_weights(RRDBNet(3, blocks=1, features=8), tmp_path / "a.pth")
    with pytest.raises(UsageError, match=r"a\.pth: other programs open RCAN networks of scale 1 w"):
        export_weights(RCAN(1, groups=1, blocks=1, features=32), tmp_path / "a.pth")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PipelineError, match="file: is a file, and a folder is needed there; "):
        export_weights(NETWORKS["rcan"], tmp_path / "file" / "a.pth")
