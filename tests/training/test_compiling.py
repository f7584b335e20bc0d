"""Which trainings have compiled networks."""

import sys
from collections.abc import Mapping
from types import MappingProxyType

import pytest
import torch

from pipeline.params import TrainParams
from pipeline.params.train import COMPILED_STEPS
from pipeline.training.compiling import compile_function, compile_network, is_compiled
from pipeline.training.distributed import SINGLE_PROCESS, Group
from pipeline.training.losses import content_loss

CUDA = torch.device("cuda")


@pytest.mark.parametrize(
    ("choice", "steps", "device", "group"),
    [
        ("off", COMPILED_STEPS, CUDA, SINGLE_PROCESS),
        ("auto", COMPILED_STEPS - 1, CUDA, SINGLE_PROCESS),
        ("auto", COMPILED_STEPS, torch.device("cpu"), SINGLE_PROCESS),
        ("auto", COMPILED_STEPS, CUDA, Group(0, 2)),
    ],
)
def test_only_long_trainings_on_one_gpu_are_compiled(
    choice: str, steps: int, device: torch.device, group: Group
) -> None:
    assert decide(TrainParams(compile=choice), steps, device, group) == (False, [])  # type: ignore[arg-type]


def decide(
    params: TrainParams,
    steps: int,
    device: torch.device = CUDA,
    group: Group = SINGLE_PROCESS,
    kept: Mapping[bool, int] = MappingProxyType({}),
) -> tuple[bool, list[str]]:
    """Whether networks are compiled, and what is reported."""
    reported: list[str] = []
    return is_compiled(params, steps, device, group, kept.get, reported.append), reported


@pytest.mark.skipif(torch.cuda.is_available(), reason="is of machines without CUDA")
@pytest.mark.parametrize("kept", [{}, {False: 7, True: COMPILED_STEPS - 1}])
def test_where_nothing_can_be_compiled_training_says_why(kept: Mapping[bool, int]) -> None:
    compiled, (line,) = decide(TrainParams(), COMPILED_STEPS, kept=kept)
    assert not compiled
    assert line.startswith("networks are not compiled, and steps are slower: ")


def test_a_short_training_that_is_prolonged_stays_uncompiled() -> None:
    decision = decide(TrainParams(), COMPILED_STEPS, kept={False: COMPILED_STEPS - 1})
    assert decision == (False, ["networks are not compiled: the training goes on as it began"])


@pytest.mark.parametrize("steps", [COMPILED_STEPS, 10])
def test_a_finished_compiled_training_compiles_nothing(steps: int) -> None:
    assert decide(TrainParams(), steps, kept={True: steps}) == (True, [])
    off = TrainParams(compile="off")
    assert decide(off, steps, kept={True: steps}) == (False, [])


compiles = pytest.mark.skipif(
    sys.platform != "linux", reason="networks are compiled on CUDA alone, which macOS has not"
)


@compiles
def test_a_compiled_function_computes_the_same() -> None:
    random = torch.Generator().manual_seed(0)
    sr, hr = (torch.randn(2, 4, 8, 8, generator=random, requires_grad=True) for _ in range(2))
    expected = content_loss([sr], [hr])
    loss = compile_function(content_loss)([sr], [hr])
    torch.testing.assert_close(loss, expected)
    gradients = [torch.autograd.grad(one, sr)[0] for one in (loss, expected)]
    torch.testing.assert_close(*gradients)


@compiles
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
