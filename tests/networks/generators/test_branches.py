"""Re-parameterised convolutions: one kernel, with the results and gradients of their branches."""

import copy

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.networks import SPAN
from pipeline.networks.generators.branches import BranchedConv
from pipeline.training.state import update_ema


def by_branches(layer: BranchedConv, x: Tensor) -> Tensor:
    """Return what the branches give one after the other, as the paper's figure has them."""
    result: Tensor = layer.conv(F.pad(x, (1, 1, 1, 1))) + layer.sk(x)
    return result


@pytest.fixture
def layer() -> BranchedConv:
    torch.manual_seed(0)
    layer = BranchedConv(5, 4)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    return layer.double()


def test_results_and_gradients_are_those_of_the_branches(layer: BranchedConv) -> None:
    x = torch.randn(2, 5, 6, 7, dtype=torch.float64)
    torch.testing.assert_close(layer(x), by_branches(layer, x))
    parameters = list(layer.parameters())
    weights = torch.randn(2, 4, 6, 7, dtype=torch.float64)
    ours = torch.autograd.grad((layer(x) * weights).sum(), parameters)
    theirs = torch.autograd.grad((by_branches(layer, x) * weights).sum(), parameters)
    torch.testing.assert_close(ours, theirs)


def test_the_initial_weights_keep_the_variance() -> None:
    torch.manual_seed(0)
    deviation = BranchedConv(64, 64)(torch.randn(4, 64, 32, 32)).std()
    assert deviation.item() == pytest.approx(1, abs=0.1)


def test_the_state_has_the_folded_kernel_of_the_weights_that_it_holds() -> None:
    """Of an average, which is no average of folded kernels, too."""
    torch.manual_seed(0)
    network, average = SPAN(features=8), SPAN(features=8)
    update_ema(average, network, 0.3)
    state = average.state_dict()
    kernel, bias = average.conv_1.kernel_and_bias()
    assert torch.equal(state["conv_1.eval_conv.weight"], kernel)
    assert torch.equal(state["conv_1.eval_conv.bias"], bias)


def test_a_folded_kernel_that_is_loaded_has_no_effect(layer: BranchedConv) -> None:
    before, again = layer.state_dict(), copy.deepcopy(layer)
    torch.nn.init.zeros_(again.sk.weight)
    again.load_state_dict(before | {"eval_conv.weight": torch.zeros(4, 5, 3, 3)})
    assert all(torch.equal(before[name], value) for name, value in again.state_dict().items())


def test_under_autocast_the_kernels_are_multiplied_in_single_precision(
    layer: BranchedConv,
) -> None:
    layer.float()
    expected = layer.kernel_and_bias()
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(torch.rand(1, 5, 6, 7)).dtype == torch.bfloat16
        torch.testing.assert_close(layer.kernel_and_bias(), expected, rtol=0, atol=0)
