"""Training of published models further: `train.generator.kind` file."""

import signal
from pathlib import Path

import pytest
import spandrel
import torch
from spandrel.architectures.Compact.__arch.SRVGG import SRVGGNetCompact
from spandrel.architectures.SwinIR.__arch.SwinIR import SwinIR
from torch import nn

from pipeline.errors import UsageError
from pipeline.networks import RRDBNet
from pipeline.networks.files import load_generator
from pipeline.training.operations import step_operations
from tests.evaluation.world import make_world
from tests.training.runs import OTHER_KIND, SMALL, Recorded, run


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("world")
    make_world(root, {"train": 5, "val": 3, "test": 1})
    return root


FILE = {"generator.kind": "file", **OTHER_KIND}


@pytest.fixture(params=["compact", "swinir"])
def published(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A model with stochastic depth, and one without, as their trainers save them."""
    torch.manual_seed(0)
    network: nn.Module = SRVGGNetCompact(num_feat=8, num_conv=2)
    if request.param == "swinir":
        network = SwinIR(
            img_size=16, depths=[2], num_heads=[2], embed_dim=8, window_size=8, upscale=4,
            upsampler="pixelshuffledirect", drop_path_rate=0.5,
        )  # fmt: skip
    torch.save({"params": network.state_dict()}, tmp_path / "published.pth")
    return tmp_path / "published.pth"


def changes(published: Path, **more: object) -> dict[str, object]:
    return {**FILE, "generator.features": 64, "generator.blocks": "null", "init": published, **more}


def test_the_result_keeps_architecture_and_names(
    world: Path, published: Path, tmp_path: Path
) -> None:
    result = run(world, tmp_path / "models", **changes(published))
    theirs = spandrel.ModelLoader().load_from_file(published)
    ours = spandrel.ModelLoader().load_from_file(result.generator)
    assert type(ours.model) is type(theirs.model)
    weights = ours.model.state_dict()
    assert weights.keys() == theirs.model.state_dict().keys()
    assert any(
        not torch.equal(weights[name], before) for name, before in theirs.model.state_dict().items()
    )
    loaded = load_generator(result.generator)
    assert loaded.metadata["architecture"] == theirs.architecture.id
    assert loaded.metadata["step"] == "6"


def test_interrupted_training_ends_with_the_same_weights(
    world: Path, published: Path, tmp_path: Path
) -> None:
    once = run(world, tmp_path / "once", **changes(published)).generator
    with pytest.raises(KeyboardInterrupt):
        run(world, tmp_path / "twice", Recorded(4, signal.SIGINT), **changes(published))
    twice = run(world, tmp_path / "twice", **changes(published)).generator
    assert once.read_bytes() == twice.read_bytes()


def test_a_checkpoint_is_a_model(world: Path, published: Path, tmp_path: Path) -> None:
    run(world, tmp_path / "models", **changes(published))
    checkpoint = max((tmp_path / "models").rglob("*.pt"))
    loaded = load_generator(checkpoint)
    again = run(world, tmp_path / "again", **changes(checkpoint, steps=1, lr=1e-20, adv_weight=0))
    lr = torch.rand(1, 3, 8, 8)
    with torch.inference_mode():
        difference = loaded.generator(lr) - load_generator(again.generator).generator(lr)
    assert difference.abs().max() < 1e-6


def test_what_cannot_be_trained_further_is_one_line(
    world: Path, published: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"^train\.init: .* enlarges 4 times, not 2; set"):
        run(world, tmp_path / "models", **changes(published, scale=2))
    with pytest.raises(UsageError, match=r"^train\.init: .* holds .*; set train"):
        run(world, tmp_path / "models", init=published)


def test_weights_under_public_names_start_our_own_kind(world: Path, tmp_path: Path) -> None:
    from pipeline.networks import RCAN

    sizes = {"groups": 1, "blocks": 2, "features": 16, "reduction": 4}
    torch.manual_seed(0)
    network = RCAN(**sizes)
    torch.save(network.state_dict(), tmp_path / "model.pth")
    params = {f"generator.{name}": value for name, value in sizes.items()}
    further = {"generator.kind": "rcan", **OTHER_KIND, **params, "init": tmp_path / "model.pth"}
    result = run(world, tmp_path / "models", steps=1, lr=1e-20, adv_weight=0, ema=0, **further)
    lr = torch.rand(1, 3, 8, 8)
    difference = load_generator(result.generator).generator(lr) - network.eval()(lr)
    assert difference.abs().max() < 1e-6


def test_operations_are_those_of_the_same_network_of_ours(tmp_path: Path) -> None:
    torch.save(RRDBNet(blocks=1).state_dict(), tmp_path / "model.pth")
    changed = {"init": str(tmp_path / "model.pth"), "adv_weight": 0.0}
    from pipeline.params.generator import FileParams, RRDBParams

    ours = SMALL.model_copy(update={"generator": RRDBParams(blocks=1), "adv_weight": 0.0})
    theirs = SMALL.model_copy(update={"generator": FileParams(), **changed})
    assert step_operations(theirs, adversarial=False) == step_operations(ours, adversarial=False)
