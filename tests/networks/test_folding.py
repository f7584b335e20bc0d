"""Normalisation folded into convolutions: the same results from fewer layers."""

import torch
from torch import nn

from pipeline.networks import SRResNet
from pipeline.networks.folding import fold_batch_norm


def test_a_folded_network_computes_the_same_without_normalisation() -> None:
    torch.manual_seed(0)
    network = SRResNet(blocks=2, features=8, norm="batch").train()
    network(torch.rand(4, 3, 8, 8))
    network.eval()
    lr = torch.rand(2, 3, 9, 7)
    fewer = fold_batch_norm(network)
    torch.testing.assert_close(fewer(lr), network(lr), rtol=0, atol=1e-5)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fewer.modules())


def test_the_network_that_is_folded_stays_as_it_was() -> None:
    network = SRResNet(blocks=1, features=8, norm="batch").train()
    before = network.state_dict()
    fold_batch_norm(network)
    assert network.training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert sum(isinstance(module, nn.BatchNorm2d) for module in network.modules()) == 3
