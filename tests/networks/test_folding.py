"""Normalisation and branches folded into convolutions: the same results from fewer layers."""

import torch
from torch import nn

from pipeline.networks import SPAN, SRResNet
from pipeline.networks.folding import fold
from pipeline.networks.generators.branches import BranchedConv


def test_a_folded_network_computes_the_same_without_normalisation() -> None:
    torch.manual_seed(0)
    network = SRResNet(blocks=2, features=8, norm="batch").train()
    network(torch.rand(4, 3, 8, 8))
    network.eval()
    lr = torch.rand(2, 3, 9, 7)
    fewer = fold(network)
    torch.testing.assert_close(fewer(lr), network(lr), rtol=0, atol=1e-5)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fewer.modules())


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
