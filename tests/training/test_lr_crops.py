"""LR crops: of those that none is given for, by seed, step and position alone."""

from typing import Any

import torch

from pipeline.images.degradation import make_lr
from pipeline.images.degradation_presets import PRESETS
from pipeline.params import TrainParams
from pipeline.training.crops import Batch
from pipeline.training.lr_crops import DegradedBatches, LrCrops
from pipeline.training.run_description import describe_run
from tests.training.test_step import train_step

HR = torch.randint(0, 256, (4, 3, 32, 32), generator=torch.Generator().manual_seed(2)).byte()
HEAVY = TrainParams(degradation="heavy", seed=7)


def test_a_process_makes_its_part_of_the_batch() -> None:
    whole = DegradedBatches(lambda step: Batch(HR), LrCrops.from_params(HEAVY))(5)
    second = DegradedBatches(lambda step: Batch(HR[2:]), LrCrops.from_params(HEAVY, rank=1))(5)
    assert whole.lr is not None
    assert second.lr is not None
    assert torch.equal(second.lr, whole.lr[2:])
    assert torch.equal(whole.lr, make_lr(HR, 4, "heavy", [(7, 5, n) for n in range(4)], True))
    assert whole.has_lr == (True,) * 4
    assert not len(whole.without_lr)


def test_given_crops_stay() -> None:
    given = torch.full((4, 3, 8, 8), 9, dtype=torch.uint8)
    lr_crops = LrCrops.from_params(HEAVY)
    some = Batch(HR, given, (True, False, True, False))
    made = DegradedBatches(lambda step: some, lr_crops)(5).lr
    assert made is not None
    assert torch.equal(made[[0, 2]], given[[0, 2]])
    assert torch.equal(made[[1, 3]], make_lr(HR[[1, 3]], 4, "heavy", [(7, 5, 1), (7, 5, 3)], True))
    full = Batch(HR, given, (True,) * 4)
    assert DegradedBatches(lambda step: full, lr_crops)(5) is full


def test_strengths_are_those_of_the_params() -> None:
    params = TrainParams(degradation="light", degradation_strengths={"noise_prob": 1})
    assert LrCrops.from_params(params).degradation == PRESETS["light"].replaced({"noise_prob": 1})
    kinds = {"none": (False, False), "web": (True, False), "light": (True, True)}
    for name, expected in kinds.items():
        lr_crops = LrCrops.from_params(TrainParams(degradation=name))
        assert (lr_crops.on_host, lr_crops.is_chain) == expected


def test_a_step_takes_what_threads_have_made() -> None:
    """The weights are those of a step that makes LR itself."""
    steps = [train_step(degradation="heavy", adv_weight=0) for _ in range(2)]
    batch = Batch(HR)
    steps[0](batch)
    steps[1](DegradedBatches(lambda step: batch, steps[1].lr_crops)(0))
    weights = [step.state.generator.state_dict() for step in steps]
    torch.testing.assert_close(*weights, rtol=0, atol=0)


def shaping_params(params: TrainParams) -> dict[str, Any]:
    description = describe_run(params, {}, 10, "fp32", False, {}, {}, {})
    shaping: dict[str, Any] = description["params"]
    return shaping


def test_a_run_is_known_by_all_its_strengths() -> None:
    """Not by which of them the params name; those of `none` and `web` have none."""
    same, other = (
        HEAVY.model_copy(update={"degradation_strengths": {"noise_prob": value}})
        for value in (1.0, 0.5)
    )
    assert shaping_params(same) == shaping_params(HEAVY)
    differing = {
        name
        for name, value in shaping_params(HEAVY).items()
        if shaping_params(other)[name] != value
    }
    assert differing == {"degradation_strengths.noise_prob"}
    web = shaping_params(TrainParams(degradation="web"))
    assert not [name for name in web if name.startswith("degradation_strengths")]
