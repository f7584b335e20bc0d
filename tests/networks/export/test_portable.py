"""Networks for other runtimes: the same results from layers that all of them have."""

from pathlib import Path

import pytest
import torch
from spandrel.architectures.SPAN.__arch.span import SPAN
from torch import nn
from torch.nn import functional as F

from pipeline.errors import UsageError
from pipeline.networks import SRResNet
from pipeline.networks.export import export_onnx
from pipeline.networks.export.portable import portable
from pipeline.networks.files import load_generator
from pipeline.networks.generators.bicubic_conv import BicubicConv
from pipeline.params.section import SCALES
from tests.networks.export.networks import networks

NETWORKS = networks()


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("shape", [(2, 3, 9, 31), (1, 3, 1, 2)])
def test_a_convolution_interpolates_as_bicubic_does(
    scale: int, shape: tuple[int, int, int, int]
) -> None:
    lr = torch.rand(shape)
    expected = F.interpolate(lr, scale_factor=float(scale), mode="bicubic")
    result = F.pixel_shuffle(BicubicConv(scale)(lr), scale)
    # PyTorch rounds the positions of thirds.
    torch.testing.assert_close(result, expected, rtol=0, atol=5e-6 if scale == 3 else 1e-6)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_portable_network_gives_the_same(name: str) -> None:
    network, lr = NETWORKS[name], torch.rand(2, 3, 9, 13)
    with torch.inference_mode():
        torch.testing.assert_close(portable(network)(lr), network(lr), rtol=0, atol=2e-6)


@pytest.mark.parametrize("name", NETWORKS)
def test_in_half_precision_it_gives_nearly_the_same_in_fp32(name: str) -> None:
    network, lr = NETWORKS[name], torch.rand(2, 3, 9, 13)
    with torch.inference_mode():
        torch.testing.assert_close(portable(network, "fp16")(lr), network(lr), rtol=0, atol=5e-3)


def test_the_bicubic_skip_stays_in_fp32() -> None:
    network = SRResNet(blocks=1, features=8, norm="none", skip="bicubic").eval()
    lr = torch.rand(1, 3, 9, 13)
    # A new network adds nothing to the skip.
    expected = F.interpolate(lr, scale_factor=4.0, mode="bicubic")
    torch.testing.assert_close(portable(network, "fp16")(lr), expected, rtol=0, atol=1e-6)


def test_the_network_that_is_exported_stays_as_it_was() -> None:
    network = SRResNet(blocks=1, features=8, norm="batch", skip="bicubic").train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    portable(network, "fp16")
    assert network.training
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert sum(isinstance(module, nn.BatchNorm2d) for module in network.modules()) == 3
    for name, value in network.state_dict().items():
        assert value.dtype == before[name].dtype
        assert torch.equal(value, before[name])


def test_what_is_onnx_already_is_not_exported(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed here")
    network = SRResNet(blocks=1, features=8, norm="none")
    export_onnx(network, tmp_path / "model.onnx")
    with pytest.raises(UsageError, match="the model is an ONNX file"):
        portable(load_generator(tmp_path / "model.onnx").generator)


def test_a_network_of_another_program_is_the_same(tmp_path: Path) -> None:
    """SPAN folds its branches at each call; that cannot be exported."""
    torch.manual_seed(0)
    network = SPAN(num_in_ch=3, num_out_ch=3, feature_channels=16)
    torch.save(network.state_dict(), tmp_path / "model.pth")
    generator = load_generator(tmp_path / "model.pth").generator
    lr = torch.rand(1, 3, 9, 14)
    with torch.inference_mode():
        difference = portable(generator)(lr) - generator(lr)
    assert difference.abs().max() < 1e-4
    export_onnx(generator, tmp_path / "model.onnx")
