"""One step: what of each term reaches the weights."""

import copy
import math

import pytest
import torch

from pipeline.networks.perceptual.vgg import VGG16Features
from pipeline.networks.perceptual.weights import backbone_state
from pipeline.params import TrainParams
from pipeline.training.state import new_state
from pipeline.training.step import Updates

CPU = torch.device("cpu")
SMALL = TrainParams(
    blocks=1,
    features=8,
    crop=32,
    vgg="random",
    pretrain_steps=0,
    content_layers=("conv1_1",),
    log_every=2,
)
HR = torch.randint(0, 256, (2, 3, 32, 32), generator=torch.Generator().manual_seed(0)).byte()


def updates(steps: int = 10, **changes: object) -> Updates:
    params = SMALL.model_copy(update=changes)
    vgg = VGG16Features(params.content_layers, backbone_state("vgg16", "random")[0])
    return Updates(params, steps, new_state(params, CPU), vgg, CPU, bf16=False)


def rate(update: Updates) -> float:
    return float(update.state.optimisers[0].param_groups[0]["lr"])


def test_the_cosine_falls_to_nothing() -> None:
    update = updates(4, lr_schedule="cosine", lr=0.01)
    rates = []
    for _ in range(4):
        update(HR)
        rates.append(rate(update))
    assert rates == pytest.approx([0.01 * (1 + math.cos(math.pi * n / 4)) / 2 for n in range(4)])
    adversary = update.state.adversary
    assert adversary is not None
    assert adversary.optimiser.param_groups[0]["lr"] == rates[-1]


def test_gradients_are_scaled_down_to_the_norm() -> None:
    def norm(update: Updates) -> float:
        gradients = [parameter.grad for parameter in update.state.generator.parameters()]
        return math.sqrt(sum(float(g.square().sum()) for g in gradients if g is not None))

    free, clipped, wide = updates(), updates(max_grad_norm=1e-3), updates(max_grad_norm=1e6)
    for update in (free, clipped, wide):
        update(HR)
    assert norm(free) > 2e-3
    assert norm(clipped) == pytest.approx(1e-3, rel=1e-3)
    assert norm(wide) == pytest.approx(norm(free))


def test_pulls_are_told_with_the_figures_and_follow_the_weights() -> None:
    once, twice = updates(content_weight=1.0), updates(content_weight=2.0)
    assert not any("pull" in name for name in once(HR).terms)
    twice.state.load_state_dict(copy.deepcopy(once.state.state_dict()))
    pulls, doubled = once(HR).terms, twice(HR).terms
    assert pulls["content_pull"] > 0
    assert pulls["adversarial_pull"] > 0
    assert doubled["content_pull"].item() == pytest.approx(2 * pulls["content_pull"].item())
    assert doubled["adversarial_pull"].item() == pytest.approx(pulls["adversarial_pull"].item())


def test_a_relativistic_step_is_another_step() -> None:
    plain, relativistic = updates(adv_weight=0.5), updates(adv_weight=0.5, relativistic=True)
    assert plain(HR).terms["adversarial"] != relativistic(HR).terms["adversarial"]


@pytest.mark.parametrize(("given", "first"), [(None, 2), (0, 0), (3, 3)])
def test_the_discriminator_comes_after_the_pre_training(given: int | None, first: int) -> None:
    update = updates(10, pretrain_steps=given)
    adversarial = ["adversarial" in update(HR).terms for _ in range(5)]
    assert adversarial.index(True) == first
    assert all(adversarial[first:])


@pytest.mark.parametrize(
    ("norm", "ema", "averaged"),
    [("none", None, True), ("batch", None, False), ("none", 0.0, False), ("batch", 0.9, True)],
)
def test_weights_are_averaged_where_statistics_fit_them(
    norm: str, ema: float | None, averaged: bool
) -> None:
    update = updates(norm=norm, ema=ema)
    update(HR)
    state = update.state
    pairs = zip(state.average.parameters(), state.generator.parameters(), strict=True)
    assert all(torch.equal(mean, weight) for mean, weight in pairs) is not averaged


def test_a_step_that_is_not_finite_changes_nothing_and_is_counted() -> None:
    update = updates()
    assert update(HR).updated
    with torch.no_grad():
        update.state.generator.last_layer.weight.fill_(math.inf)
    before = copy.deepcopy(update.state.state_dict())
    assert not update(HR).updated
    after = update.state.state_dict()
    for name in ("generator", "average", "adam", "discriminator_optimiser"):
        torch.testing.assert_close(after[name], before[name], rtol=0, atol=0)
    for name, weight in update.state.adversary.network.named_parameters():
        assert torch.equal(weight, before["discriminator"][name])
    assert (update.state.step, update.state.skipped) == (2, 1)


def test_the_averages_weight_falls_from_that_of_the_first_steps() -> None:
    update = updates()
    assert update._average_weight(0) == pytest.approx(0.9)
    assert update._average_weight(10_000_000) == pytest.approx(0.001)
