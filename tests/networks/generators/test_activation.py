"""PReLUs of our own against PyTorch's PReLU and finite differences."""

import pytest
import torch
from torch import nn
from torch.autograd import gradcheck

from pipeline.networks.generators.activation import ChannelPReLU, SharedPReLU


@pytest.mark.parametrize("slope", [0.25, 0.0, -0.5])
@pytest.mark.parametrize("ours", [SharedPReLU(), ChannelPReLU(3)], ids=["shared", "per channel"])
def test_values_and_gradients_are_those_of_pytorch(ours: nn.PReLU, slope: float) -> None:
    theirs = nn.PReLU(ours.num_parameters, init=slope)
    ours.zero_grad()
    ours.train().load_state_dict(theirs.state_dict())
    x = torch.randn(2, 3, 5, 7).contiguous(memory_format=torch.channels_last)
    gradient = torch.randn(2, 3, 5, 7)
    results = []
    for activation in (ours, theirs):
        leaf = x.clone().requires_grad_()
        y = activation(leaf)
        y.backward(gradient)
        results.append((y, leaf.grad, activation.weight.grad))
    torch.testing.assert_close(*results)
    torch.testing.assert_close(ours.eval()(x), theirs(x), rtol=0, atol=0)


@pytest.mark.parametrize("activation", [SharedPReLU(), ChannelPReLU(3)])
def test_gradients_are_those_of_finite_differences(activation: nn.PReLU) -> None:
    activation.double()
    x = torch.randn(2, 3, 4, 2, dtype=torch.double, requires_grad=True)
    assert gradcheck(activation, (x,))
    fixed = x.detach()
    assert gradcheck(
        lambda slope: torch.func.functional_call(activation, {"weight": slope}, (fixed,)),
        (activation.weight,),
    )


@pytest.mark.parametrize("activation", [SharedPReLU(), ChannelPReLU(1)])
def test_in_bf16_the_slope_is_summed_in_single_precision(activation: nn.PReLU) -> None:
    x = torch.full((1, 1, 64, 64), -1.0, dtype=torch.bfloat16)
    activation(x).sum().backward()
    assert activation.weight.grad is not None
    assert activation.weight.grad.item() == -4096
