"""Operations are those of the steps that training takes."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from pipeline.networks.perceptual.vgg import VGG16Features
from pipeline.networks.perceptual.weights import backbone_state
from pipeline.params import TrainParams
from pipeline.params.file import override
from pipeline.training.crops import Batch
from pipeline.training.operations import step_operations
from pipeline.training.state import new_state
from pipeline.training.step import TrainStep
from pipeline.training.throughput import TERA, Throughput
from tests.training.runs import OTHER_KIND, SMALL

CPU = torch.device("cpu")
NO_ADVERSARY = "without discriminator"
KINDS: dict[str, dict[str, object]] = {
    "srgan": {},
    "unet, relativistic": {"discriminator": "unet", "relativistic": True},
    "rrdb": OTHER_KIND | {"generator.kind": "rrdb", "generator.growth": 4},
    "rcan": OTHER_KIND
    | {"generator.kind": "rcan", "generator.groups": 1, "generator.reduction": 4},
    "compact": OTHER_KIND | {"generator.kind": "compact"},
    "span": OTHER_KIND | {"generator.kind": "span", "generator.blocks": "null"},
    "plksr": OTHER_KIND | {"generator.kind": "plksr", "generator.kernel": 5},
    NO_ADVERSARY: {"adv_weight": 0.0, "pixel_weight": 0.0, "warmup_steps": 0},
}


def counted(params: TrainParams, pretrain_steps: int) -> int:
    """Return the operations that PyTorch counts while a step is taken."""
    params = params.model_copy(update={"pretrain_steps": pretrain_steps, "log_every": 100})
    vgg = VGG16Features(params.content_layers, backbone_state("vgg16", "random"))
    step = TrainStep(params, 10, new_state(params, CPU), vgg, CPU, "fp32")
    hr = torch.zeros(params.batch, 3, params.crop, params.crop, dtype=torch.uint8)
    with FlopCounterMode(display=False) as counter:
        step(Batch(hr))
    return counter.get_total_flops()


@pytest.mark.parametrize("kind", KINDS)
def test_operations_are_those_of_a_step(kind: str) -> None:
    changes = {name: str(value) for name, value in KINDS[kind].items()}
    params = override(SMALL, changes)
    assert step_operations(params, adversarial=False) == counted(params, pretrain_steps=1) > 0
    if params.adv_weight > 0:
        expected = counted(params, pretrain_steps=0)
        assert step_operations(params, adversarial=True) == expected > 0


def test_default_step_has_the_operations_of_the_docs() -> None:
    assert round(step_operations(TrainParams(), adversarial=True) / 1e9) == 948


def test_each_phase_counts_its_own_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    throughput = Throughput(
        batch=2,
        steps=14,
        pretrain_steps=10,
        pretraining_operations=TERA,
        adversarial_operations=3 * TERA,
        peak=100.0 * TERA,
    )
    monkeypatch.setattr("time.monotonic", lambda: 100.0)
    throughput.start(6)
    assert throughput.figures(6) == throughput.status(6) == {}
    monkeypatch.setattr("time.monotonic", lambda: 102.0)
    assert throughput.figures(8) == {"images/s": 2.0, "TFLOP/s": 1.0, "MFU": 0.01}
    # Two steps of pre-training at one operation per second, and four of thrice as many.
    assert throughput.status(8) == {"images_per_second": 2.0, "seconds_left": 14.0}
    # Four steps of pre-training and two of the others.
    assert throughput.figures(12) == {"images/s": 6.0, "TFLOP/s": 5.0, "MFU": 0.05}


def test_without_a_measured_peak_there_is_no_share_of_it() -> None:
    throughput = Throughput.of(SMALL, steps=6, device=CPU, precision="fp32")
    throughput.start(0)
    assert throughput.figures(1).keys() == {"images/s", "TFLOP/s"}


def test_without_a_discriminator_all_steps_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """`train.pretrain_steps` is of trainings that have one."""
    params = override(SMALL, {key: str(value) for key, value in KINDS[NO_ADVERSARY].items()})
    throughput = Throughput.of(params, steps=10, device=CPU, precision="fp32")
    monkeypatch.setattr("time.monotonic", lambda: 100.0)
    throughput.start(0)
    monkeypatch.setattr("time.monotonic", lambda: 101.0)
    operations = step_operations(params, adversarial=False)
    assert throughput.figures(10)["TFLOP/s"] == 10 * operations / TERA
