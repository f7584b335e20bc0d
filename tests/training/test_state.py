import io

import pytest
import torch
from torch import nn

from pipeline.networks.discriminators.srgan import SRGANDiscriminator
from pipeline.params import TrainParams
from pipeline.params.generator import SRResNetParams
from pipeline.params.optimiser import MuonParams
from pipeline.training.checkpointed_state import new_checkpointed_state
from pipeline.training.state import new_state, update_ema

CPU = torch.device("cpu")
SMALL = TrainParams(generator=SRResNetParams(blocks=1, features=8), crop=32)


def test_without_adversarial_weight_no_discriminator_exists() -> None:
    assert new_state(SMALL.model_copy(update={"adv_weight": 0.0}), CPU).adversary is None
    adversary = new_state(SMALL, CPU).adversary
    assert adversary is not None
    assert isinstance(adversary.network, SRGANDiscriminator)


def test_networks_start_from_the_seed_alone() -> None:
    def weights(seed: int, adv_weight: float = 1.0) -> torch.Tensor:
        update = {"seed": seed, "adv_weight": adv_weight}
        return next(new_state(SMALL.model_copy(update=update), CPU).generator.parameters())

    torch.manual_seed(1)
    first = weights(0)
    before = torch.get_rng_state()
    assert torch.equal(weights(0), first)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(weights(0, adv_weight=0.0), first)
    assert not torch.equal(weights(1), first)


@pytest.mark.parametrize("weight", [0.25, torch.tensor(0.25)])
def test_the_average_moves_by_its_weight(weight: float | torch.Tensor) -> None:
    network, average = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        network.weight.fill_(1.0)
        average.weight.fill_(0.0)
    update_ema(average, network, weight)
    assert average.weight.item() == 0.25
    update_ema(average, network, weight)
    assert average.weight.item() == 0.25 + 0.75 * 0.25


def test_with_a_weight_of_one_the_average_is_the_network() -> None:
    network, average = nn.Linear(3, 3), nn.Linear(3, 3)
    update_ema(average, network, 1.0)
    assert torch.equal(average.weight, network.weight)


def test_the_average_copies_statistics() -> None:
    network, average = nn.BatchNorm2d(2), nn.BatchNorm2d(2)
    network(torch.rand(4, 2, 3, 3))
    update_ema(average, network, 0.001)
    assert torch.equal(average.running_mean, network.running_mean)
    assert average.num_batches_tracked.item() == 1


def test_skipped_steps_are_counted_in_all_and_in_a_row() -> None:
    state = new_state(TrainParams(generator=SRResNetParams(blocks=1, features=8)), CPU)
    for updated in (True, False, False, True, False):
        state.count_skipped(torch.tensor(updated))
    assert state.skips.tolist() == [3, 1]
    assert state.skipped == 3


def test_a_learning_rate_on_the_device_is_saved_as_a_number() -> None:
    state = new_state(TrainParams(generator=SRResNetParams(blocks=1, features=8)), CPU)
    state.optimisers["adam"].param_groups[0]["lr"] = torch.tensor(0.5)
    assert state.state_dict()["adam"]["param_groups"][0]["lr"] == 0.5


def test_a_saved_state_loads_without_pickled_code() -> None:
    params = SMALL.model_copy(update={"optimiser": MuonParams()})
    training = new_checkpointed_state(params, CPU)
    state, history = training.state, training.history
    state.step = 12
    state.skips[0] = 1
    history.add_row(10, {"train/loss": 0.5})
    history.add_samples(torch.zeros(3, 4, 8, dtype=torch.uint8))
    state.generator(torch.rand(2, 3, 8, 8)).mean().backward()
    for optimiser in state.optimisers.values():
        optimiser.step()
    file = io.BytesIO()
    torch.save(training.state_dict(), file)
    file.seek(0)
    again = new_checkpointed_state(params.model_copy(update={"seed": 1}), CPU)
    again.load_state_dict(torch.load(file, weights_only=True))
    assert (again.state.step, again.state.skipped) == (12, 1)
    assert again.history.curve == history.curve == [{"step": 10, "train/loss": 0.5}]
    assert torch.equal(again.history.samples[0], history.samples[0])
    for name, value in state.generator.state_dict().items():
        assert torch.equal(again.state.generator.state_dict()[name], value)
    assert list(again.state.optimisers) == ["adam", "muon"]
    for name, key in (("exp_avg", "adam"), ("momentum", "muon")):
        before, after = (one.optimisers[key].state_dict()["state"] for one in (state, again.state))
        assert any(moments[name].any() for moments in before.values())
        for index, moments in before.items():
            assert torch.equal(after[index][name], moments[name])
