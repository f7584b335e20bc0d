"""Training on a card: the same twice, with graphs and without, and never waiting for a value."""

import copy
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.networks.files import load_generator
from pipeline.networks.perceptual.vgg import VGG16Features
from pipeline.networks.perceptual.weights import backbone_state
from pipeline.params import TrainParams
from pipeline.params.file import override
from pipeline.params.generator import SRResNetParams
from pipeline.training import compiling
from pipeline.training.crops import Batch, LoadedImages, RandomCrops
from pipeline.training.image_order import ImageOrder
from pipeline.training.pixel_buffer import PixelBuffer
from pipeline.training.state import new_state
from pipeline.training.step import StepResult, TrainStep
from tests.evaluation.world import make_world
from tests.training.runs import OTHER_KIND, Recorded, RecordedProgress, run

pytestmark = pytest.mark.cuda

CUDA = torch.device("cuda")
KINDS: dict[str, dict[str, object]] = {
    "srgan": {},
    "srgan in fp32": {"precision": "fp32"},
    "srgan in fp16": {"precision": "fp16"},
    "batch norm without average": {"generator.norm": "batch", "generator.skip": "none"},
    "mse by muon": {"adv_weight": 0.0, "optimiser.kind": "muon", "lr_schedule": "cosine"},
    "srgan by muon, clipped": {"optimiser.kind": "muon", "max_grad_norm": 0.1, "turns": True},
    "unet, relativistic": {"discriminator": "unet", "relativistic": True, "pixel_weight": 1.0},
    "rrdb": OTHER_KIND | {"generator.kind": "rrdb", "generator.growth": 4},
    "rcan": OTHER_KIND
    | {"generator.kind": "rcan", "generator.groups": 1, "generator.reduction": 4},
    "compact": OTHER_KIND | {"generator.kind": "compact"},
    "span": OTHER_KIND | {"generator.kind": "span", "generator.blocks": "null"},
    "plksr": OTHER_KIND | {"generator.kind": "plksr", "generator.kernel": 5},
    "direct, candidates": {"generator.upsampling": "direct", "crop_candidates": 3},
}
SMALL = TrainParams(
    generator=SRResNetParams(blocks=1, features=8),
    crop=32,
    vgg="random",
    pretrain_steps=6,
    content_layers=("conv1_1", "conv2_1"),
    log_every=2,
    device="cuda",
)
IMAGES = torch.randint(0, 256, (3, 64, 64, 3), generator=torch.Generator().manual_seed(0)).byte()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("world")
    make_world(root, {"train": 5, "val": 3, "test": 1})
    return root


def train_step(graphed: bool, **changes: object) -> TrainStep:
    params = override(SMALL, {name: str(value) for name, value in changes.items()})
    vgg = VGG16Features(params.content_layers, backbone_state("vgg16", "random")).to(CUDA)
    state = new_state(params, CUDA)
    precision = "bf16" if params.precision == "auto" else params.precision
    return TrainStep(params, 20, state, vgg, CUDA, precision, graphed=graphed)


def random_crops(step: TrainStep) -> RandomCrops:
    buffer = PixelBuffer.of_stack(IMAGES.to(step.device))
    return RandomCrops.from_params(
        step.params,
        lambda numbers: LoadedImages(buffer, None, np.array(numbers)),
        ImageOrder((len(IMAGES),), (1.0,), step.params.seed),
    )


def take_steps(step: TrainStep, steps: int) -> list[StepResult]:
    batches = random_crops(step)
    return [step(batches(step.state.step)) for _ in range(steps)]


@contextmanager
def no_waiting() -> Iterator[None]:
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("kind", KINDS)
def test_graphs_take_the_steps_that_are_taken_without_them(kind: str) -> None:
    graphed, eager = (train_step(each, **KINDS[kind]) for each in (True, False))
    results = [take_steps(step, 20) for step in (graphed, eager)]
    for ours, theirs in zip(*results, strict=True):
        assert ours.figures.keys() == theirs.figures.keys()
        torch.testing.assert_close(dict(ours.figures), dict(theirs.figures), rtol=0, atol=0)
    states = [step.state.state_dict() for step in (graphed, eager)]
    torch.testing.assert_close(*states, rtol=0, atol=0)
    assert len(vars(graphed._compute)["_captured"]) == (1 if kind.startswith("mse") else 3)


def test_where_no_graph_can_be_captured_steps_go_on_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nMore.")

    reported: list[str] = []
    graphed, eager = (replace(train_step(each), report=reported.append) for each in (True, False))
    monkeypatch.setattr(graphed._compute, "_capture", fails)
    for step in (graphed, eager):
        take_steps(step, 12)
    states = [step.state.state_dict() for step in (graphed, eager)]
    torch.testing.assert_close(*states, rtol=0, atol=0)
    assert reported == [
        "steps are not replayed as CUDA graphs, and may be slower: "
        "CUDA out of memory. Tried to allocate 2 GiB."
    ]


def test_where_memory_ends_during_a_capture_steps_go_on_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The discriminator's gradients are off at that moment."""
    forward = VGG16Features.forward

    def fails(network: VGG16Features, images: torch.Tensor) -> list[torch.Tensor]:
        if torch.cuda.is_current_stream_capturing():
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nMore.")
        return forward(network, images)

    monkeypatch.setattr(VGG16Features, "forward", fails)
    reported: list[str] = []
    graphed, eager = (replace(train_step(each), report=reported.append) for each in (True, False))
    for step in (graphed, eager):
        take_steps(step, 20)
    states = [step.state.state_dict() for step in (graphed, eager)]
    torch.testing.assert_close(*states, rtol=0, atol=0)
    assert len(reported) == 1


@pytest.mark.parametrize("graphed", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_no_step_waits_for_the_card(kind: str, graphed: bool) -> None:
    step = train_step(graphed, **KINDS[kind])
    take_steps(step, 16)
    batches = random_crops(step)
    with no_waiting():
        for _ in range(4):
            step(batches(step.state.step))


def mixed_crops(step: TrainStep) -> RandomCrops:
    """Of the images every second has an LR image, which is on the device too."""
    hr = PixelBuffer.of_stack(IMAGES.to(step.device))
    small = [image[::4, ::4].numpy() for image in IMAGES]
    given = [image if number % 2 else image[:0, :0] for number, image in enumerate(small)]
    on_host = PixelBuffer.of(given)
    lr = replace(on_host, levels=on_host.levels.to(step.device))
    return RandomCrops.from_params(
        step.params,
        lambda numbers: LoadedImages(hr, lr, np.array(numbers)),
        ImageOrder((len(IMAGES),), (1.0,), step.params.seed),
    )


@pytest.mark.parametrize("degradation", ["none", "web"])
def test_given_lr_crops_are_taken_on_the_card(degradation: str) -> None:
    graphed, eager = (train_step(each, degradation=degradation) for each in (True, False))
    for step in (graphed, eager):
        batches = mixed_crops(step)
        for _ in range(12):
            step(batches(step.state.step))
    states = [step.state.state_dict() for step in (graphed, eager)]
    torch.testing.assert_close(*states, rtol=0, atol=0)
    if degradation == "none":
        batches = mixed_crops(graphed)
        with no_waiting():
            for _ in range(4):
                graphed(batches(graphed.state.step))


def test_web_crops_on_the_host_are_degraded_without_waiting() -> None:
    step = train_step(True, degradation="web")
    take_steps(step, 16)
    batch = torch.randint(0, 256, (2, 3, 32, 32)).byte()
    with no_waiting():
        for _ in range(4):
            step(Batch(batch))


@pytest.mark.parametrize("graphed", [True, False])
@pytest.mark.parametrize(
    "kind",
    [
        {},
        {"optimiser.kind": "muon"},
        {"generator.norm": "batch", "generator.skip": "none", "ema": 0.9},
        {"discriminator": "unet"},
    ],
)
def test_a_step_that_is_not_finite_changes_nothing(kind: dict[str, object], graphed: bool) -> None:
    """The card finds out by itself, whatever the host launched meanwhile."""
    step = train_step(graphed, pretrain_steps=0, **kind)
    take_steps(step, 12)
    with torch.no_grad():
        last = step.state.generator.last_layer.weight
        whole = last.clone()
        # Of what is finite itself, nothing is added to the average.
        last.fill_(torch.finfo(last.dtype).max)
    before = copy.deepcopy(step.state.state_dict())
    assert not take_steps(step, 1)[0].updated
    after = step.state.state_dict()
    assert (after["step"], after["skipped"]) == (13, 1)
    for counts in (after, before):
        del counts["step"], counts["skipped"]
    torch.testing.assert_close(after, before, rtol=0, atol=0)
    with torch.no_grad():
        last.copy_(whole)
    assert take_steps(step, 1)[0].updated
    assert step.state.skips.tolist() == [1, 0]


def test_a_step_is_that_of_the_cpu_within_rounding() -> None:
    # Adam moves by the sign of gradients, and some of those are rounding alone.
    changes = {"pretrain_steps": 0, "precision": "fp32", "lr": 1e-9}
    params = SMALL.model_copy(update=changes)
    figures = []
    for device in (CUDA, torch.device("cpu")):
        vgg = VGG16Features(params.content_layers, backbone_state("vgg16", "random")).to(device)
        step = TrainStep(params, 20, new_state(params, device), vgg, device, "fp32")
        results = take_steps(step, 2)
        figures.append({name: value.cpu() for name, value in results[-1].figures.items()})
    # LR pixels may be a level apart.
    torch.testing.assert_close(*figures, rtol=5e-3, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupted_training_ends_with_the_same_bytes(
    kind: str, world: Path, tmp_path: Path
) -> None:
    if KINDS[kind].get("discriminator") == "unet":
        pytest.skip("PyTorch's gradient of bilinear enlargement is not deterministic on CUDA")
    changes = {"device": "cuda", "steps": 18, "pretrain_steps": 6, "log_every": 2} | KINDS[kind]
    if changes.get("adv_weight") == 0:
        changes["pretrain_steps"] = 0
    whole, parts = Recorded(), Recorded(signal_at=12, number=signal.SIGINT)
    expected = run(world, tmp_path / "whole", whole, **changes)
    with pytest.raises(KeyboardInterrupt):
        run(world, tmp_path / "parts", parts, **changes)
    resumed = run(world, tmp_path / "parts", parts, **changes)
    assert resumed.generator.read_bytes() == expected.generator.read_bytes()
    best = [tmp_path / name / "best.safetensors" for name in ("whole", "parts")]
    assert best[0].read_bytes() == best[1].read_bytes()
    assert parts.rows == whole.rows
    assert np.array_equal(parts.pictures, whole.pictures)
    assert load_generator(resumed.generator).metadata["device"].startswith("cuda (")


def test_compiled_networks_take_the_same_steps_within_rounding() -> None:
    changes = {"pretrain_steps": 1, "precision": "fp32", "lr": 1e-9}
    eager = train_step(True, **changes)
    compiled = replace(train_step(True, **changes), compiled=True)
    results = [take_steps(step, 12) for step in (eager, compiled)]
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(dict(ours.figures), dict(theirs.figures), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("kind", ["srgan", "mse by muon"])
def test_an_interrupted_compiled_training_ends_with_the_same_bytes(
    kind: str, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiling, "COMPILED_STEPS", 0)
    test_an_interrupted_training_ends_with_the_same_bytes(kind, world, tmp_path)


def test_a_prolonged_training_stays_uncompiled(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiling, "COMPILED_STEPS", 4)
    progress = RecordedProgress()
    for steps in (3, 4):
        result = run(world, tmp_path, progress=progress, device="cuda", steps=steps)
    assert result.steps == 4
    assert progress.messages[-2:] == [
        "networks are not compiled: the training goes on as it began",
        "training goes on from step 3 of 4",
    ]


def test_the_articles_step_takes_less_than_two_gib() -> None:
    params = TrainParams(vgg="random", pretrain_steps=0, log_every=2, device="cuda")
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    vgg = VGG16Features(params.content_layers, backbone_state("vgg16", "random")).to(CUDA)
    step = TrainStep(params, 20, new_state(params, CUDA), vgg, CUDA, "bf16")
    hr = torch.randint(0, 256, (params.batch, 3, params.crop, params.crop)).byte()
    for _ in range(12):
        step(Batch(hr))
    assert torch.cuda.max_memory_reserved() - before < 2 * 2**30
