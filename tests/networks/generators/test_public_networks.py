"""Generators of public code: sizes, shapes, and that code's names."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from spandrel import ModelLoader
from torch import nn

from pipeline.networks import PLKSR, RCAN, SPAN, Compact, Generator, RRDBNet
from pipeline.networks.files import load_generator, save_generator
from pipeline.networks.folding import fold
from pipeline.params.section import SCALES


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def small_rrdb(scale: int = 4) -> RRDBNet:
    return RRDBNet(scale=scale, blocks=1, features=8, growth=4)


def small_rcan(scale: int = 4) -> RCAN:
    return RCAN(scale=scale, groups=1, blocks=2, features=8, reduction=4)


def small_compact(scale: int = 4) -> Compact:
    return Compact(scale=scale, blocks=3, features=8)


def small_span(scale: int = 4) -> SPAN:
    return SPAN(scale=scale, features=8)


def small_plksr(scale: int = 4) -> PLKSR:
    return PLKSR(scale=scale, blocks=2, features=8, kernel=5)


def plksr_with_all(scale: int = 4) -> PLKSR:
    return PLKSR(scale, blocks=2, features=8, kernel=7, mixer="dccm", attention="element")


SMALL = pytest.mark.parametrize(
    "build", [small_rrdb, small_rcan, small_compact, small_span, small_plksr, plksr_with_all]
)


@pytest.mark.parametrize(
    ("network", "count"),
    [
        (RRDBNet, 16_697_987),
        (lambda: RRDBNet(blocks=6), 4_467_779),
        (RCAN, 15_592_355),
        (Compact, 621_424),
        (lambda: fold(SPAN()), 426_288),
        (SPAN, 1_840_488),
        (PLKSR, 1_065_904),
    ],
)
def test_parameter_counts_are_the_papers(network, count: int) -> None:
    with torch.device("meta"):
        assert parameters(network()) == count


@SMALL
@pytest.mark.parametrize("scale", SCALES)
def test_enlarges_each_side_by_its_scale(build, scale: int) -> None:
    assert build(scale)(torch.rand(2, 3, 7, 10)).shape == (2, 3, 7 * scale, 10 * scale)


STATES = {
    (2, "rrdb"): "53d5999ecf67",
    (4, "rrdb"): "f0e7cdf6986f",
    (8, "rrdb"): "163f2f974025",
    (2, "rcan"): "c3683c5be961",
    (4, "rcan"): "b6b00efe84f4",
    (8, "rcan"): "7f96d57213e0",
    (2, "compact"): "6c0e61c44d95",
    (4, "compact"): "f5cfc9f61586",
    (8, "compact"): "4914b585be43",
    (2, "span"): "7d523353bb2e",
    (4, "span"): "bfd651c0a744",
    (8, "span"): "3e9fe3d3611b",
    (2, "plksr"): "abcdba2849c2",
    (4, "plksr"): "3fba2f002cb8",
    (8, "plksr"): "297d3c3268bd",
}


@pytest.mark.parametrize(("scale", "kind"), STATES)
def test_files_of_earlier_versions_fit(scale: int, kind: str) -> None:
    """By the names and shapes of all weights."""
    builds = (small_rrdb, small_rcan, small_compact, small_span, small_plksr)
    network = next(one for one in builds if one.__name__ == f"small_{kind}")(scale)
    text = "".join(f"{name} {tuple(value.shape)}\n" for name, value in network.state_dict().items())
    assert sha256(text.encode()).hexdigest()[:12] == STATES[scale, kind]


def test_a_shuffle_by_three_makes_a_result_at_scale_3() -> None:
    """As the public code of RCAN; ESRGAN's enlarges by three and convolves once."""
    with torch.device("meta"):
        rcan, rrdb = RCAN(3).state_dict(), RRDBNet(3).state_dict()
    assert rcan["tail.0.0.weight"].shape == (9 * 64, 64, 3, 3)
    assert [name for name in rrdb if name.startswith("conv_up")] == [
        "conv_up1.weight",
        "conv_up1.bias",
    ]


def test_rrdb_enlarges_by_repeating_pixels_threefold() -> None:
    network = small_rrdb(3).eval()
    for name, parameter in network.named_parameters():
        nn.init.zeros_(parameter)
        if name in ("conv_first.weight", "conv_up1.weight", "conv_hr.weight", "conv_last.weight"):
            for channel in range(3):
                parameter.data[channel, channel, 1, 1] = 1.0
    lr = torch.rand(1, 3, 4, 5)
    assert torch.equal(network(lr), lr.repeat_interleave(3, 2).repeat_interleave(3, 3))


@pytest.mark.parametrize("build", [RRDBNet, RCAN])
def test_scales_without_stages_are_refused(build) -> None:
    with torch.device("meta"), pytest.raises(ValueError, match="scale is 6, which is neither 3 n"):
        build(6)


@SMALL
def test_config_builds_the_same_network_again(build) -> None:
    network = build()
    again = type(network)(**network.config)
    again.load_state_dict(network.state_dict())
    lr = torch.rand(1, 3, 8, 8)
    assert torch.equal(again(lr), network(lr))


@SMALL
def test_a_file_holds_the_network(build, tmp_path: Path) -> None:
    network, lr = build().eval(), torch.rand(1, 3, 8, 8)
    save_generator(tmp_path / "a.safetensors", network, {})
    loaded = load_generator(tmp_path / "a.safetensors").generator
    assert torch.equal(loaded(lr), network(lr))


@SMALL
def test_batch_one_equals_batch_many(build) -> None:
    network, lr = build().eval(), torch.rand(3, 3, 8, 8)
    alone = torch.cat([network(image) for image in lr.split(1)])
    torch.testing.assert_close(network(lr), alone, atol=1e-6, rtol=1e-5)


@SMALL
def test_every_layer_learns(build) -> None:
    torch.manual_seed(0)
    network = build()
    network(torch.rand(1, 3, 8, 8)).square().mean().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert network.last_layer.weight.grad.abs().max() > 0


@pytest.mark.parametrize("scale", SCALES)
@SMALL
def test_receptive_radius_is_just_enough(build, scale: int) -> None:
    """A pixel outside changes nothing, one at its edge does; attention's means are kept out."""
    network = build(scale).double().eval()
    for module in network.modules():
        if hasattr(module, "conv_du"):
            module.forward = lambda x: x
    radius = network.receptive_radius
    side = 2 * radius + 5
    lr = torch.rand(1, 3, side, side, dtype=torch.float64, requires_grad=True)
    middle = side // 2
    rows = slice(middle * scale, (middle + 1) * scale)
    network(lr)[..., rows, rows].sum().backward()
    seen = lr.grad.abs().sum((0, 1, 2)).nonzero().flatten() - middle
    assert (seen.min().item(), seen.max().item()) == (-radius, radius)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(
    ("build", "name"),
    [
        (lambda scale: RRDBNet(scale, blocks=1, features=8), "ESRGAN"),
        (lambda scale: RCAN(scale, groups=2, blocks=2, features=64), "RCAN"),
        (small_compact, "Compact"),
        (small_span, "SPAN"),
        (small_plksr, "PLKSR"),
        (plksr_with_all, "PLKSR"),
    ],
)
def test_spandrel_opens_ours(build: Callable[[int], Generator], name: str, scale: int) -> None:
    network = build(scale)
    state = {key: value.clone() for key, value in network.state_dict().items()}
    opened = ModelLoader().load_from_state_dict(state)
    if (name, scale) == ("ESRGAN", 3):
        # The names and shapes are those of ×2.
        assert opened.scale == 2
        return
    assert (opened.architecture.id, opened.scale) == (name, scale)
    lr = torch.rand(1, 3, 12, 15)
    with torch.no_grad():
        theirs = opened.model.eval()(lr.clone())
        torch.testing.assert_close(theirs, network.eval()(lr), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("sizes", "problem"),
    [({"kernel": 4}, "its kernel is 4, which is even"), ({"features": 10}, "no multiple of 4")],
)
def test_sizes_that_plksr_cannot_have(sizes: dict[str, int], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        PLKSR(**sizes)


@SMALL
def test_bf16_is_near_single_precision(build) -> None:
    torch.manual_seed(0)
    network, lr = build().eval(), torch.rand(1, 3, 12, 12)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        rounded = network(lr)
    with torch.no_grad():
        exact = network(lr)
    torch.testing.assert_close(rounded.float(), exact, rtol=0.05, atol=0.05)
