"""Normalisation and branches folded into convolutions: the same results from fewer layers."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from pipeline.networks import SPAN, SRResNet
from pipeline.networks.folding import fold
from pipeline.networks.generators.branches import BranchedConv
from pipeline.params.section import SCALES


def test_a_folded_network_computes_the_same_without_normalisation() -> None:
    torch.manual_seed(0)
    network = SRResNet(blocks=2, features=8, norm="batch").train()
    network(torch.rand(4, 3, 8, 8))
    network.eval()
    lr = torch.rand(2, 3, 9, 7)
    fewer = fold(network)
    torch.testing.assert_close(fewer(lr), network(lr), rtol=0, atol=1e-5)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fewer.modules())


@pytest.mark.parametrize("upsampling", ["direct", "stages"])
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("bf16", [False, True])
def test_a_folded_network_interpolates_by_a_convolution(
    monkeypatch: pytest.MonkeyPatch, upsampling: str, scale: int, bf16: bool
) -> None:
    torch.manual_seed(0)
    network = SRResNet(
        scale=scale, blocks=1, features=8, norm="none", skip="bicubic", upsampling=upsampling
    ).eval()
    lr = torch.rand(2, 3, 9, 7)
    # A new network adds nothing to the skip, which is computed in fp32.
    expected = F.interpolate(lr, scale_factor=float(scale), mode="bicubic") if scale > 1 else lr
    folded = fold(network)
    assert torch.equal(network(lr), expected)
    monkeypatch.delattr(F, "interpolate")
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        torch.testing.assert_close(folded(lr), expected, rtol=0, atol=5e-6 if scale == 3 else 1e-6)


def test_a_folded_network_has_leaky_relus() -> None:
    network = SRResNet(blocks=1, features=8, norm="none").eval()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.PReLU):
                module.weight.uniform_()
    folded, lr = fold(network), torch.rand(1, 3, 9, 7)
    torch.testing.assert_close(folded(lr), network(lr), rtol=0, atol=1e-6)
    slopes = [module.negative_slope for module in folded.modules() if type(module) is nn.LeakyReLU]
    assert slopes == [
        module.weight.item() for module in network.modules() if isinstance(module, nn.PReLU)
    ]


def test_the_network_that_is_folded_stays_as_it_was() -> None:
    network = SRResNet(blocks=1, features=8, norm="batch").train()
    before = network.state_dict()
    fold(network)
    assert network.training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert sum(isinstance(module, nn.BatchNorm2d) for module in network.modules()) == 3


def test_a_folded_network_computes_the_same_without_branches() -> None:
    torch.manual_seed(0)
    network, lr = SPAN(features=8), torch.rand(2, 3, 9, 7)
    folded = fold(network)
    torch.testing.assert_close(folded(lr), network(lr), rtol=0, atol=1e-5)
    assert not any(isinstance(module, BranchedConv) for module in folded.modules())
    assert folded.parameter_count < network.parameter_count / 3


def test_a_branched_layer_alone_is_folded_too() -> None:
    network = nn.Sequential(BranchedConv(3, 4), nn.ReLU())
    lr = torch.rand(1, 3, 6, 5)
    torch.testing.assert_close(fold(network)(lr), network(lr))
    assert isinstance(fold(network)[0], nn.Conv2d)
