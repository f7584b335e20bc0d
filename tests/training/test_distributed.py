"""Two processes take the step that one takes."""

import logging
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pipeline.errors import UsageError
from pipeline.networks.perceptual.vgg import VGG16Features
from pipeline.networks.perceptual.weights import backbone_state
from pipeline.params import TrainParams
from pipeline.params.generator import SRResNetParams
from pipeline.processes import ENDING_SIGNALS
from pipeline.training.crops import Batch
from pipeline.training.distributed import (
    SINGLE_PROCESS,
    Group,
    launch,
    process_group,
    sync_batch_norm,
)
from pipeline.training.state import new_state
from pipeline.training.step import TrainStep

CPU = torch.device("cpu")
PARAMS = TrainParams(
    generator=SRResNetParams(blocks=1, features=8, norm="batch", skip="none"),
    crop=32,
    batch=4,
    adv_weight=0.1,
    pixel_weight=0.1,
    relativistic=True,
    vgg="random",
    pretrain_steps=0,
    content_layers=("conv1_1",),
    log_every=1,
    # Adam moves by the sign of gradients, and some of those are rounding alone.
    lr=1e-9,
    # No value lies so near a leaky ReLU's kink that rounding brings it to the other side.
    seed=1,
)
RANDOM = torch.Generator().manual_seed(0)
BATCH = torch.randint(0, 256, (4, 3, 32, 32), generator=RANDOM).byte()
VALUES = torch.randn(4, 5, 6, 7, generator=RANDOM)
WEIGHTS = torch.randn(4, 5, 6, 7, generator=RANDOM)


def part(tensor: torch.Tensor, group: Group) -> torch.Tensor:
    share = len(tensor) // group.size
    return tensor[group.rank * share : (group.rank + 1) * share]


def normalised(group: Group) -> dict[str, Any]:
    """What batch normalisation makes of `VALUES`, and its gradients for a weighted mean."""
    network = nn.Sequential(nn.BatchNorm2d(5, momentum=0.3))
    sync_batch_norm(network, group)
    with torch.no_grad():
        network[0].weight.copy_(torch.arange(5) + 1.0)
    values = part(VALUES, group).clone().requires_grad_()
    result = network(values)
    (result * part(WEIGHTS, group)).mean().backward()
    group.all_reduce_mean_([parameter.grad for parameter in network.parameters()])  # type: ignore[misc]
    return {
        "result": result.detach(),
        "gradient": values.grad,
        "weight_gradient": network[0].weight.grad,
        "state": dict(network.state_dict()),
        "evaluated": network.eval()(values).detach(),
    }


def stepped(group: Group) -> dict[str, Any]:
    """Figures and gradients of one SRGAN step."""
    vgg = VGG16Features(PARAMS.content_layers, backbone_state("vgg16", "random"))
    state = new_state(PARAMS, CPU, group)
    result = TrainStep(PARAMS, 1, state, vgg, CPU, "fp32", group)(Batch(part(BATCH, group)))
    figures = list(result.figures.values())
    group.all_reduce_mean_(figures)
    assert state.adversary is not None
    networks = {"generator": state.generator, "discriminator": state.adversary.network}
    return {
        "figures": dict(zip(result.figures, figures, strict=True)),
        "gradients": {
            f"{name}.{key}": parameter.grad
            for name, network in networks.items()
            for key, parameter in network.named_parameters()
        },
        "statistics": {
            f"{name}.{key}": value
            for name, network in networks.items()
            for key, value in network.named_buffers()
        },
    }


def work(folder: Path) -> None:
    torch.set_num_threads(1)
    with process_group("cpu") as (group, device):
        results = {
            "mean": group.global_mean(torch.tensor([1.0, 2.0 + 4 * group.rank])),
            "any": [group.any_process(group.rank == 1, device), group.any_process(False, device)],
            "normalised": normalised(group),
            "stepped": stepped(group),
        }
        torch.save(results, folder / f"{group.rank}.pt")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The results of each of two processes."""
    folder = tmp_path_factory.mktemp("results")
    assert launch(2, work, folder) == 0
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


def test_means_and_flags_are_of_all(results: list[dict[str, Any]]) -> None:
    assert [of_one["mean"].item() for of_one in results] == [2.5, 2.5]
    assert [of_one["any"] for of_one in results] == [[True, False]] * 2


@pytest.mark.parametrize("what", ["result", "gradient", "evaluated"])
def test_normalisation_is_of_the_whole_batch(what: str, results: list[dict[str, Any]]) -> None:
    together = torch.cat([of_one["normalised"][what] for of_one in results])
    expected = normalised(SINGLE_PROCESS)[what]
    # Each process's loss is the mean over its half.
    factor = 0.5 if what == "gradient" else 1.0
    torch.testing.assert_close(together * factor, expected, rtol=1e-5, atol=1e-6)


def test_statistics_and_gradients_are_the_same_in_each(results: list[dict[str, Any]]) -> None:
    expected = normalised(SINGLE_PROCESS)
    for of_one in results:
        for what in ("state", "weight_gradient"):
            torch.testing.assert_close(of_one["normalised"][what], expected[what])


@pytest.mark.parametrize("what", ["figures", "gradients", "statistics"])
def test_a_step_of_two_is_a_step_of_one(what: str, results: list[dict[str, Any]]) -> None:
    expected = stepped(SINGLE_PROCESS)[what]
    assert expected
    for of_one in results:
        values = of_one["stepped"][what]
        assert values.keys() == expected.keys()
        for name, value in values.items():
            size = expected[name].abs().max().item()
            # A bias before a normalisation has no gradient but rounding.
            torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-5 * size + 5e-6)


def test_a_process_that_fails_gives_its_exit_code() -> None:
    logged = logging.root.manager.disable
    handlers = {number: signal.getsignal(number) for number in ENDING_SIGNALS}
    assert launch(2, fail) == 3
    assert logging.root.manager.disable == logged
    assert {number: signal.getsignal(number) for number in ENDING_SIGNALS} == handlers


def fail() -> None:
    raise SystemExit(3)


def test_several_processes_on_mps_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: True)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    with pytest.raises(UsageError, match=r"train\.processes to 1"), process_group("mps"):
        pass
