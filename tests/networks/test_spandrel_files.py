"""Models of other programs: every architecture that spandrel opens."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import spandrel
import torch
from safetensors.torch import save_file
from spandrel.architectures.Compact.__arch.SRVGG import SRVGGNetCompact
from spandrel.architectures.DAT.__arch.DAT import DAT
from spandrel.architectures.ESRGAN.__arch.RRDB import RRDBNet as TheirRRDBNet
from spandrel.architectures.PLKSR.__arch.RealPLKSR import RealPLKSR
from spandrel.architectures.RCAN.__arch import rcan_arch
from spandrel.architectures.SPAN.__arch.span import SPAN
from spandrel.architectures.SwinIR.__arch.SwinIR import SwinIR
from torch import Tensor, nn

from pipeline.errors import PipelineError
from pipeline.networks import RCAN, Compact, Generator, RRDBNet, SRResNet
from pipeline.networks.blending import blend_generators
from pipeline.networks.files import load_generator, save_generator
from pipeline.networks.generators.spandrel_generator import SpandrelGenerator
from pipeline.upscaling.upscaler import Upscaler

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "compact": lambda: SRVGGNetCompact(num_feat=16, num_conv=3),
    "compact 1×": lambda: SRVGGNetCompact(num_feat=16, num_conv=3, upscale=1),
    "dat": lambda: DAT(
        depth=[2], num_heads=[2], embed_dim=32, split_size=(8, 8), upscale=4, img_size=16
    ),
    "esrgan": lambda: TheirRRDBNet(num_blocks=1, num_filters=16),
    "esrgan 2×": lambda: TheirRRDBNet(
        in_nc=12, num_blocks=1, num_filters=16, shuffle_factor=2, scale=4
    ),
    "esrgan 8×": lambda: TheirRRDBNet(num_blocks=1, num_filters=16, scale=8),
    "esrgan, grey": lambda: TheirRRDBNet(in_nc=1, out_nc=1, num_blocks=1, num_filters=16),
    "esrgan, alpha": lambda: TheirRRDBNet(in_nc=4, out_nc=4, num_blocks=1, num_filters=16),
    "esrgan+": lambda: TheirRRDBNet(num_blocks=1, num_filters=16, plus=True),
    "rcan": lambda: rcan_arch.RCAN(n_resgroups=1, n_resblocks=2, n_feats=16, reduction=4, scale=4),
    "realplksr": lambda: RealPLKSR(dim=16, n_blocks=2),
    "span": lambda: SPAN(num_in_ch=3, num_out_ch=3, feature_channels=16),
    "swinir": lambda: SwinIR(
        img_size=16, depths=[2], num_heads=[2], embed_dim=16, window_size=8, upscale=4,
        upsampler="pixelshuffledirect",
    ),
}  # fmt: skip
SCALES = {"compact 1×": 1, "esrgan 2×": 2, "esrgan 8×": 8}


@pytest.fixture(scope="module", params=NETWORKS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def file(name: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of random weights, as its trainer saves it."""
    path = tmp_path_factory.mktemp("models") / "model.pth"
    torch.manual_seed(0)
    torch.save({"params_ema": NETWORKS[name]().state_dict()}, path)
    return path


@pytest.fixture(scope="module")
def generator(file: Path) -> Generator:
    return load_generator(file).generator


def test_results_are_those_of_spandrels_own_call(
    name: str, file: Path, generator: Generator
) -> None:
    lr = torch.rand(1, 3, 19, 26, generator=torch.Generator().manual_seed(0))
    descriptor: Any = spandrel.ModelLoader().load_from_file(file)
    assert generator.scale == descriptor.scale == SCALES.get(name, 4)
    if descriptor.input_channels == 1:
        expected = descriptor(lr.reshape(3, 1, 19, 26)).reshape(1, 3, 76, 104)
    elif descriptor.input_channels == 4:
        expected = descriptor(torch.cat([lr, torch.ones(1, 1, 19, 26)], 1))[:, :3]
    else:
        expected = descriptor(lr.clone())
    given = lr.clone()
    with torch.inference_mode():
        sr = generator(given).clamp(0, 1)
    assert (sr - expected).abs().max() < 2e-5, "rounding"
    assert torch.equal(given, lr), "the input stays as it was"


def test_a_pickled_copy_does_the_same(generator: Generator) -> None:
    picture = torch.rand(3, 20, 30, generator=torch.Generator().manual_seed(0))
    upscaler = Upscaler(generator, device="cpu", precision="fp32")
    assert torch.equal(pickle.loads(pickle.dumps(upscaler))(picture), upscaler(picture))


def test_tiles_do_not_change_the_result(name: str, generator: Generator) -> None:
    picture = torch.rand(3, 70, 150, generator=torch.Generator().manual_seed(0))
    whole, tiled = (
        Upscaler(generator, device="cpu", precision="fp32", tile=tile)(picture)
        for tile in (None, 24)
    )
    depends_on_all = name in ("rcan", "realplksr")  # channel attention, group normalisation
    assert (whole - tiled).abs().max() < (1 if depends_on_all else 0.1) / 255


def test_a_saved_file_opens_here_and_there(
    file: Path, generator: Generator, tmp_path: Path
) -> None:
    path = tmp_path / "saved.safetensors"
    save_generator(path, generator, {"step": "1"})
    theirs = spandrel.ModelLoader().load_from_file(file).model.state_dict()
    assert spandrel.ModelLoader().load_from_file(path).model.state_dict().keys() == theirs.keys()
    loaded = load_generator(path)
    assert isinstance(generator, SpandrelGenerator)
    assert loaded.metadata["architecture"] == generator.architecture
    assert loaded.metadata["step"] == "1"
    lr = torch.rand(1, 3, 9, 7)
    assert torch.equal(loaded.generator(lr), generator(lr))


def test_gradients_reach_every_weight(generator: Generator) -> None:
    """In training mode, and the last layer is among them."""
    generator.train()
    generator(torch.rand(2, 3, 16, 16)).square().mean().backward()
    gradients = {name for name, weight in generator.named_parameters() if weight.grad is not None}
    needed = {name for name, weight in generator.named_parameters() if weight.requires_grad}
    # spandrel's SPAN holds the folded kernels, which are computed from the branches.
    assert {name for name in needed - gradients if "eval_conv" not in name} == set()
    last = generator.last_layer.weight
    assert any(weight is last for weight in generator.parameters())
    generator.eval().zero_grad()


def test_the_radius_is_that_of_the_convolutions(tmp_path: Path) -> None:
    torch.save(NETWORKS["compact"]().state_dict(), tmp_path / "model.pth")
    assert load_generator(tmp_path / "model.pth").generator.receptive_radius == 5


def test_tiles_begin_where_windows_do(tmp_path: Path) -> None:
    torch.manual_seed(0)
    torch.save(NETWORKS["swinir"]().state_dict(), tmp_path / "model.pth")
    assert load_generator(tmp_path / "model.pth").generator.tile_multiple == 8


def wrapped(*keys: str) -> Callable[[dict[str, Tensor]], dict[str, Any]]:
    def wrap(state: dict[str, Tensor]) -> dict[str, Any]:
        content: dict[str, Any] = state
        for key in reversed(keys):
            content = {key: content, "epoch": 3}
        return content

    return wrap


def under(prefix: str) -> Callable[[dict[str, Tensor]], dict[str, Any]]:
    return lambda state: {prefix + key: value for key, value in state.items()}


@pytest.mark.parametrize(
    "wrap",
    [
        *(wrapped(key) for key in ("params", "params-ema", "state_dict", "model", "net")),
        wrapped("state_dict", "params"),
        under("module."),
        under("netG."),
    ],
)
def test_wrapped_weights_are_found(
    wrap: Callable[[dict[str, Tensor]], dict[str, Any]], tmp_path: Path
) -> None:
    network = SRVGGNetCompact(num_feat=16, num_conv=3)
    torch.save(wrap(network.state_dict()), tmp_path / "model.pth")
    assert load_generator(tmp_path / "model.pth").metadata["architecture"] == "Compact"


def test_half_precision_becomes_fp32(tmp_path: Path) -> None:
    save_file(RRDBNet(blocks=1).half().state_dict(), tmp_path / "model.safetensors")
    loaded = load_generator(tmp_path / "model.safetensors").generator
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}


@pytest.mark.parametrize("network", [RRDBNet(blocks=1), RCAN(groups=2, blocks=2, features=16)])
def test_weights_of_ours_open_without_their_metadata(network: Generator, tmp_path: Path) -> None:
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    lr = torch.rand(1, 3, 9, 7)
    theirs = load_generator(tmp_path / "model.safetensors").generator
    assert (theirs(lr) - network.eval()(lr)).abs().max() < 1e-5


class Harmful:
    def __reduce__(self) -> tuple[object, ...]:
        return (json.loads, ("[]",))


ESRGAN_STATE = RRDBNet(blocks=1).state_dict()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"weight": torch.zeros(1)}, "no architecture that spandrel knows has such names"),
        ({"epoch": 3}, "it holds 0 weights by their names"),
        ({"weight": Harmful()}, "no whole file of weights and nothing else"),
        ({**ESRGAN_STATE, "conv_hr.weight": torch.zeros(1)}, "ESRGAN: .*size mismatch"),
        ({**ESRGAN_STATE, "conv_hr.bias": torch.full((64,), torch.nan)}, "is not finite"),
        ({**ESRGAN_STATE, "body.9999.rdb1.conv1.weight": torch.zeros(1)}, "counts more than 1000"),
        (
            SRVGGNetCompact(num_in_ch=6, num_conv=1).state_dict(),
            "Compact takes 6 channels, not RGB",
        ),
    ],
)
def test_what_does_not_fit_is_one_line(content: object, problem: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "model.pth")
    with pytest.raises(PipelineError, match=problem) as caught:
        load_generator(tmp_path / "model.pth")
    assert str(caught.value).startswith(f"{tmp_path / 'model.pth'}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "network", [SRResNet(blocks=1, features=8), RRDBNet(blocks=1, features=8), RCAN(groups=1)]
)
def test_ours_say_what_they_are(network: Generator, tmp_path: Path) -> None:
    save_generator(tmp_path / "model.safetensors", network, {})
    loaded = load_generator(tmp_path / "model.safetensors")
    assert type(loaded.generator) is type(network)
    assert loaded.generator.config == network.config


def test_two_models_of_one_architecture_are_blended(tmp_path: Path) -> None:
    for number, features in enumerate((16, 16, 8)):
        network = SRVGGNetCompact(num_feat=features, num_conv=3)
        torch.save(network.state_dict(), tmp_path / f"{number}.pth")
    first, second, other = (load_generator(tmp_path / f"{n}.pth").generator for n in range(3))
    mean = blend_generators(first, second, 0.5).weights
    for name, weight in first.weights.items():
        torch.testing.assert_close(mean[name], (weight + second.weights[name]) / 2)
    with pytest.raises(PipelineError, match="two kinds of generator"):
        blend_generators(first, other, 0.5)


def test_a_model_of_ours_is_blended_with_a_public_one(tmp_path: Path) -> None:
    ours = Compact(blocks=3, features=16)
    torch.save(SRVGGNetCompact(num_feat=16, num_conv=3).state_dict(), tmp_path / "model.pth")
    theirs = load_generator(tmp_path / "model.pth").generator
    mean = blend_generators(ours, theirs, 0.5).weights
    for name, weight in ours.weights.items():
        torch.testing.assert_close(mean[name], (weight + theirs.weights[name]) / 2)


def test_metadata_without_a_config_are_another_programs(tmp_path: Path) -> None:
    state = SRVGGNetCompact(num_feat=16, num_conv=3).state_dict()
    save_file(state, tmp_path / "model.safetensors", {"architecture": "compact"})
    assert isinstance(load_generator(tmp_path / "model.safetensors").generator, SpandrelGenerator)
