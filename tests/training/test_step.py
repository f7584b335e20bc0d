"""One step: how each loss changes the weights."""

import copy
import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from pipeline.networks.perceptual.vgg import VGG16Features
from pipeline.networks.perceptual.weights import backbone_state
from pipeline.params import TrainParams
from pipeline.params.generator import SRResNetParams
from pipeline.training.crops import Batch
from pipeline.training.state import new_state
from pipeline.training.step import TrainStep

CPU = torch.device("cpu")
SMALL = TrainParams(
    generator=SRResNetParams(blocks=1, features=8),
    crop=32,
    vgg="random",
    pretrain_steps=0,
    content_layers=("conv1_1",),
    log_every=2,
)
BATCH = Batch(
    torch.randint(0, 256, (2, 3, 32, 32), generator=torch.Generator().manual_seed(0)).byte()
)


def train_step(steps: int = 10, **changes: object) -> TrainStep:
    params = SMALL.model_copy(update=changes)
    vgg = VGG16Features(params.content_layers, backbone_state("vgg16", "random"))
    return TrainStep(
        params,
        steps,
        new_state(params, CPU),
        vgg,
        CPU,
        "fp16" if params.precision == "fp16" else "fp32",
    )


def rate(step: TrainStep) -> float:
    return float(step.state.optimisers["adam"].param_groups[0]["lr"])


def test_the_cosine_falls_to_nothing() -> None:
    step = train_step(4, lr_schedule="cosine", lr=0.01)
    rates = []
    for _ in range(4):
        step(BATCH)
        rates.append(rate(step))
    assert rates == pytest.approx([0.01 * (1 + math.cos(math.pi * n / 4)) / 2 for n in range(4)])
    adversary = step.state.adversary
    assert adversary is not None
    assert adversary.optimiser.param_groups[0]["lr"] == rates[-1]


def test_gradients_are_scaled_down_to_the_norm() -> None:
    def norm(step: TrainStep) -> float:
        gradients = [parameter.grad for parameter in step.state.generator.parameters()]
        return math.sqrt(sum(float(g.square().sum()) for g in gradients if g is not None))

    free, clipped, wide = (
        train_step(),
        train_step(max_grad_norm=1e-3),
        train_step(max_grad_norm=1e6),
    )
    for step in (free, clipped, wide):
        step(BATCH)
    assert norm(free) > 2e-3
    assert norm(clipped) == pytest.approx(1e-3, rel=1e-3)
    assert norm(wide) == pytest.approx(norm(free))


def test_gradient_norms_are_recorded_with_the_losses_and_follow_the_weights() -> None:
    once, twice = train_step(content_weight=1.0), train_step(content_weight=2.0)
    assert not any("grad_norm" in name for name in once(BATCH).figures)
    twice.state.load_state_dict(copy.deepcopy(once.state.state_dict()))
    norms, doubled = once(BATCH).figures, twice(BATCH).figures
    assert norms["grad_norm_content"] > 0
    assert norms["grad_norm_adversarial"] > 0
    assert doubled["grad_norm_content"].item() == pytest.approx(
        2 * norms["grad_norm_content"].item()
    )
    assert doubled["grad_norm_adversarial"].item() == pytest.approx(
        norms["grad_norm_adversarial"].item()
    )


ALIKE = Batch(BATCH.hr[:1].expand(4, -1, -1, -1).contiguous())


def gradients(step: TrainStep) -> torch.Tensor:
    """Those of the last step, of the generator and then of the discriminator."""
    networks: list[nn.Module] = [step.state.generator]
    if step.state.adversary is not None:
        networks.append(step.state.adversary.network)
    found = [parameter.grad for network in networks for parameter in network.parameters()]
    return torch.cat([gradient.flatten() for gradient in found if gradient is not None])


@pytest.mark.parametrize(
    ("changes", "batch"),
    [
        ({"adv_weight": 0}, BATCH),
        # Of equal crops batch normalisations have the same statistics.
        ({"pretrain_steps": 0, "adv_weight": 0.1, "pixel_weight": 0.1}, ALIKE),
        ({"pretrain_steps": 0, "relativistic": True}, ALIKE),
    ],
)
def test_parts_of_a_batch_teach_what_the_whole_teaches(
    changes: dict[str, object], batch: Batch
) -> None:
    whole, accumulated = train_step(**changes), train_step(**changes, accumulate=len(batch))
    expected, found = whole(batch).figures, accumulated(batch).figures
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-6)
    difference = (gradients(accumulated) - gradients(whole)).norm()
    assert difference < 1e-3 * gradients(whole).norm()


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{"adv_weight": 0}, {"pretrain_steps": 0}])
def test_in_fp16_gradients_are_near_those_of_fp32(changes: dict[str, object]) -> None:
    """Also those that fp16 alone would lose: weights of losses are small."""
    small = changes | {"content_weight": 1e-6, "adv_weight": changes.get("adv_weight", 1e-6)}
    half, single = train_step(precision="fp16", **small), train_step(**small)
    assert half.vgg is not None
    half.vgg.convolutions.half()
    found, expected = half(BATCH), single(BATCH)
    assert found.updated
    for name, value in expected.figures.items():
        torch.testing.assert_close(found.figures[name], value, rtol=0.02, atol=1e-9)
    count = sum(parameter.numel() for parameter in single.state.generator.parameters())
    for ours, theirs in zip(
        gradients(half).split([count, len(gradients(half)) - count]),
        gradients(single).split([count, len(gradients(single)) - count]),
        strict=True,
    ):
        # Those through networks of random weights are noisy; lost ones would be zeros.
        assert not len(theirs) or torch.cosine_similarity(ours, theirs, dim=0) > 0.9


@pytest.mark.slow
def test_a_scale_falls_where_fp16_overflows_and_the_next_steps_go_on() -> None:
    step = train_step(precision="fp16", adv_weight=0)
    scale = step.state.loss_scale
    assert scale is not None
    scale.factor.fill_(2.0**40)
    taken = [bool(step(BATCH).updated) for _ in range(60)]
    first, skipped = taken.index(True), taken.count(False)
    assert first > 0
    assert all(taken[first : first + 5])
    # Whether one more overflows later depends on the processor.
    assert scale.factor == 2.0 ** (40 - skipped)
    assert step.state.skipped == skipped
    again = train_step(precision="fp16", adv_weight=0)
    again.state.load_state_dict(copy.deepcopy(step.state.state_dict()))
    assert again.state.loss_scale is not None
    assert again.state.loss_scale.factor == scale.factor


def test_a_relativistic_step_is_another_step() -> None:
    plain, relativistic = train_step(adv_weight=0.5), train_step(adv_weight=0.5, relativistic=True)
    assert plain(BATCH).figures["adversarial"] != relativistic(BATCH).figures["adversarial"]


@pytest.mark.parametrize(("given", "first"), [(None, 2), (0, 0), (3, 3)])
def test_the_discriminator_comes_after_the_pre_training(given: int | None, first: int) -> None:
    step = train_step(10, pretrain_steps=given)
    adversarial = ["adversarial" in step(BATCH).figures for _ in range(5)]
    assert adversarial.index(True) == first
    assert all(adversarial[first:])


@pytest.mark.parametrize(
    ("norm", "ema", "averaged"),
    [("none", None, True), ("batch", None, False), ("none", 0.0, False), ("batch", 0.9, True)],
)
def test_weights_are_averaged_where_statistics_fit_them(
    norm: str, ema: float | None, averaged: bool
) -> None:
    step = train_step(generator=SRResNetParams(blocks=1, features=8, norm=norm), ema=ema)
    step(BATCH)
    state = step.state
    pairs = zip(state.ema.parameters(), state.generator.parameters(), strict=True)
    assert all(torch.equal(mean, weight) for mean, weight in pairs) is not averaged


@pytest.mark.parametrize(
    ("norm", "layer", "discriminator"),
    [("none", "tail", "srgan"), ("batch", "head.0", "srgan"), ("none", "head.0", "unet")],
)
def test_a_step_that_is_not_finite_changes_nothing_and_is_counted(
    norm: str, layer: str, discriminator: str
) -> None:
    """Not even the statistics of batch normalisation, in which one NaN would stay for good."""
    generator = SRResNetParams(blocks=1, features=8, norm=norm)
    step = train_step(generator=generator, discriminator=discriminator)
    assert step(BATCH).updated
    with torch.no_grad():
        step.state.generator.get_submodule(layer).weight.fill_(math.inf)
    before = copy.deepcopy(step.state.state_dict())
    assert not step(BATCH).updated
    after = step.state.state_dict()
    assert (after.pop("step"), after.pop("skipped")) == (2, 1)
    assert (before.pop("step"), before.pop("skipped")) == (1, 0)
    torch.testing.assert_close(after, before, rtol=0, atol=0)


class OutOfMemory(nn.Module):
    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        raise torch.OutOfMemoryError("CUDA out of memory.")


def test_after_an_error_in_a_step_the_discriminator_still_learns() -> None:
    """A CUDA graph's capture may fail anywhere in a step, which is then taken directly."""
    step, expected = train_step(), train_step()
    with pytest.raises(torch.OutOfMemoryError):
        replace(step, vgg=OutOfMemory())(BATCH)
    step.state.load_state_dict(new_state(step.params, CPU).state_dict())
    for each in (step, expected):
        assert each(BATCH).updated
    states = [each.state.state_dict() for each in (step, expected)]
    torch.testing.assert_close(*states, rtol=0, atol=0)


def test_the_averages_weight_falls_from_that_of_the_first_steps() -> None:
    schedule = train_step().schedule
    assert schedule.ema_weight(0) == pytest.approx(0.9)
    assert schedule.ema_weight(10_000_000) == pytest.approx(0.001)
