"""Which trainings have compiled networks."""

import pytest
import torch

from pipeline.params import TrainParams
from pipeline.training.compiling import MIN_STEPS, compile_function, compile_network, is_compiled
from pipeline.training.distributed import SINGLE_PROCESS, Group
from pipeline.training.losses import content_loss

CUDA = torch.device("cuda")


@pytest.mark.parametrize(
    ("choice", "steps", "device", "group"),
    [
        ("off", MIN_STEPS, CUDA, SINGLE_PROCESS),
        ("auto", MIN_STEPS - 1, CUDA, SINGLE_PROCESS),
        ("auto", MIN_STEPS, torch.device("cpu"), SINGLE_PROCESS),
        ("auto", MIN_STEPS, CUDA, Group(0, 2)),
    ],
)
def test_only_long_trainings_on_one_gpu_are_compiled(
    choice: str, steps: int, device: torch.device, group: Group
) -> None:
    reported: list[str] = []
    params = TrainParams(compile=choice)  # type: ignore[arg-type]
    assert not is_compiled(params, steps, device, group, reported.append)
    assert reported == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="is of machines without CUDA")
def test_where_nothing_can_be_compiled_training_says_why() -> None:
    reported: list[str] = []
    assert not is_compiled(TrainParams(), MIN_STEPS, CUDA, SINGLE_PROCESS, reported.append)
    assert len(reported) == 1
    assert reported[0].startswith("networks are not compiled, and steps are slower: ")


def test_a_compiled_function_computes_the_same() -> None:
    random = torch.Generator().manual_seed(0)
    sr, hr = (torch.randn(2, 4, 8, 8, generator=random, requires_grad=True) for _ in range(2))
    expected = content_loss([sr], [hr])
    loss = compile_function(content_loss)([sr], [hr])
    torch.testing.assert_close(loss, expected)
    gradients = [torch.autograd.grad(one, sr)[0] for one in (loss, expected)]
    torch.testing.assert_close(*gradients)


def test_a_compiled_network_gives_each_gradient_that_is_asked_for() -> None:
    """A row of the curves takes several through the same network."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.LeakyReLU(0.2))
    x = torch.randn(1, 3, 8, 8)
    expected = [torch.autograd.grad(network(x).sum(), network[0].weight)[0] for _ in range(2)]
    compile_network(network)
    total = network(x).sum()
    gradients = [
        torch.autograd.grad(total, network[0].weight, retain_graph=True)[0] for _ in range(2)
    ]
    torch.testing.assert_close(gradients, expected)
