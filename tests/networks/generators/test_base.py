import math

import pytest
import torch

from pipeline.errors import PipelineError
from pipeline.networks import SRResNet
from pipeline.networks.generators.base import quantise


def test_quantise_rounds_and_clamps() -> None:
    values = torch.tensor([-0.1, 0.0, 0.4 / 255, 0.6 / 255, 254.6 / 255, 1.0, 1.2])
    assert quantise(values).tolist() == [0, 0, 0, 1, 255, 255, 255]


def test_enlarging_is_the_network_between_8_bits() -> None:
    network = SRResNet(scale=2, blocks=1, features=8).eval()
    lr = torch.randint(0, 256, (2, 3, 6, 5), dtype=torch.uint8)
    hr = network.enlarge(lr)
    assert (hr.dtype, hr.shape) == (torch.uint8, (2, 3, 12, 10))
    with torch.no_grad():
        assert torch.equal(hr.float(), quantise(network(lr.float() / 255)))


def test_a_result_that_is_not_finite_is_an_error() -> None:
    network = SRResNet(scale=2, blocks=1, features=8)
    next(network.parameters()).data[:] = math.nan
    with pytest.raises(PipelineError, match="not finite"):
        network.enlarge(torch.zeros(1, 3, 4, 4, dtype=torch.uint8))
