from hashlib import sha256
from typing import Literal

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from pipeline.networks import SRResNet
from pipeline.params.section import SCALES


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("blocks", "norm", "count"),
    [(16, "batch", 1_549_462), (3, "batch", 585_993), (3, "none", 585_097)],
)
def test_parameter_counts_are_the_papers(blocks: int, norm: str, count: int) -> None:
    assert parameters(SRResNet(blocks=blocks, norm=norm)) == count


def test_parameter_count_of_direct_upsampling() -> None:
    assert parameters(SRResNet(blocks=16, norm="none", upsampling="direct")) == 1_261_953


@pytest.mark.parametrize("upsampling", ["stages", "direct"])
@pytest.mark.parametrize("scale", SCALES)
def test_enlarges_each_side_by_its_scale(scale: int, upsampling: str) -> None:
    network = SRResNet(scale=scale, blocks=1, features=8, upsampling=upsampling)
    assert network(torch.rand(2, 3, 7, 10)).shape == (2, 3, 7 * scale, 10 * scale)


@pytest.mark.parametrize(
    ("scale", "sizes", "expected"),
    [
        (2, {"norm": "batch"}, "5dbe5175a36e"),
        (4, {"norm": "batch"}, "04d5cb01eae2"),
        (8, {"norm": "batch"}, "af6421a4de52"),
        (2, {"norm": "none", "upsampling": "direct"}, "14a0904a4f49"),
        (4, {"norm": "none", "upsampling": "direct"}, "b5c8dedd0f06"),
        (8, {"norm": "none", "upsampling": "direct"}, "066d08bb0bdb"),
    ],
)
def test_files_of_earlier_versions_fit(scale: int, sizes: dict[str, str], expected: str) -> None:
    """By the names and shapes of all weights."""
    state = SRResNet(scale, blocks=1, features=8, **sizes).state_dict()
    text = "".join(f"{name} {tuple(value.shape)}\n" for name, value in state.items())
    assert sha256(text.encode()).hexdigest()[:12] == expected


def test_config_builds_the_same_network_again() -> None:
    network = SRResNet(
        scale=2, blocks=2, features=12, norm="none", skip="bicubic", upsampling="direct"
    )
    again = SRResNet(**network.config)
    again.load_state_dict(network.state_dict())
    lr = torch.rand(1, 3, 8, 8)
    assert torch.equal(again(lr), network(lr))
    assert again.scale == 2


@pytest.mark.parametrize("norm", ["batch", "none"])
@pytest.mark.parametrize(("blocks", "deeper"), [(2, 3), (3, 8), (3, 3)])
def test_a_deeper_network_begins_as_the_shallower_one(
    blocks: int, deeper: int, norm: Literal["batch", "none"]
) -> None:
    first = SRResNet(blocks=blocks, features=8, norm=norm).eval()
    grown = SRResNet(blocks=deeper, features=8, norm=norm).eval()
    grown.start_from(first)
    lr = torch.rand(1, 3, 8, 9)
    torch.testing.assert_close(grown(lr), first(lr), rtol=0, atol=1e-6)
    branches = [block.layers[3].weight.any().item() for block in grown.body[:deeper]]
    assert sum(branches) == blocks


def test_every_prelu_shares_one_slope() -> None:
    slopes = [module for module in SRResNet().modules() if isinstance(module, nn.PReLU)]
    assert [slope.weight.numel() for slope in slopes] == [1] * 6


@pytest.mark.parametrize("norm", ["batch", "none"])
@pytest.mark.parametrize("scale", [3, 4])
def test_a_flat_picture_shows_no_checkerboard_at_the_start(scale: int, norm: str) -> None:
    """Without ICNR the pixels of every shuffle start apart."""
    torch.manual_seed(0)
    network = SRResNet(scale, features=16, norm=norm).eval()
    margin = network.receptive_radius
    flat = torch.full((1, 3, 2 * margin + 4, 2 * margin + 4), 0.6)
    inside = slice(scale * margin, -scale * margin)
    sr = network(flat)[..., inside, inside]
    assert sr.std(dim=(2, 3)).max() < 1e-6


@pytest.mark.parametrize("upsampling", ["stages", "direct"])
@pytest.mark.parametrize("scale", SCALES)
def test_with_the_skip_it_starts_as_bicubic(scale: int, upsampling: str) -> None:
    lr = torch.rand(2, 3, 9, 11)
    bicubic = F.interpolate(lr, scale_factor=scale, mode="bicubic", align_corners=False)
    network = SRResNet(scale, blocks=1, features=8, skip="bicubic", upsampling=upsampling)
    assert torch.equal(network(lr), lr if scale == 1 else bicubic)


def test_with_the_skip_the_head_starts_with_zero_response_to_flat_colour() -> None:
    network = SRResNet(blocks=1, features=8, norm="none", skip="bicubic")
    flat = torch.rand(1, 3, 1, 1).expand(1, 3, 24, 24)
    inside = slice(6, -6)
    assert network.head(flat)[..., inside, inside].abs().max() < 1e-5
    assert network.head(torch.rand(1, 3, 24, 24)).std() > 0.1


@pytest.mark.parametrize("upsampling", ["stages", "direct"])
def test_with_the_skip_every_layer_learns(upsampling: str) -> None:
    """A network that adds nothing at first must still be able to leave that state."""
    torch.manual_seed(0)
    network = SRResNet(blocks=1, features=8, norm="none", skip="bicubic", upsampling=upsampling)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    for _ in range(2):
        optimiser.zero_grad()
        F.l1_loss(network(torch.rand(1, 3, 8, 8)), torch.rand(1, 3, 32, 32)).backward()
        optimiser.step()
    after = network.state_dict()
    assert [name for name in before if torch.equal(before[name], after[name])] == []


@pytest.mark.parametrize("scale", SCALES)
def test_the_tail_before_the_shuffle_equals_the_tail_after_it(scale: int) -> None:
    """Values and gradients, in double precision, at every pixel of the border too."""
    torch.manual_seed(0)
    network = SRResNet(scale=scale, blocks=1, features=4).double()
    lr = torch.rand(2, 3, 6, 5, dtype=torch.double)
    shallow = network.head(lr)
    plain = network.tail(network.upsample(shallow + network.body(shallow)))
    weights = list(network.parameters())
    target = torch.rand_like(plain)
    expected = torch.autograd.grad(F.mse_loss(plain, target), weights)
    sr = network(lr)
    torch.testing.assert_close(sr, plain, rtol=0, atol=1e-12)
    gradients = torch.autograd.grad(F.mse_loss(sr, target), weights)
    torch.testing.assert_close(gradients, expected, rtol=1e-9, atol=1e-14)


def test_the_articles_network_needs_tiles_to_overlap_by_14() -> None:
    assert SRResNet().receptive_radius == 14


@pytest.mark.parametrize(
    ("scale", "blocks", "skip", "upsampling"),
    [
        (4, 3, "none", "stages"),
        (4, 1, "bicubic", "stages"),
        (2, 2, "none", "stages"),
        (8, 1, "none", "stages"),
        (3, 2, "none", "stages"),
        (3, 1, "bicubic", "direct"),
        (1, 1, "bicubic", "stages"),
        (1, 1, "none", "direct"),
        (4, 2, "bicubic", "direct"),
    ],
)
def test_receptive_radius_is_just_enough(
    scale: int, blocks: int, skip: str, upsampling: str
) -> None:
    """The pixels that one LR pixel's results depend on, by their gradient."""
    torch.manual_seed(0)
    network = SRResNet(scale, blocks, features=4, norm="none", skip=skip, upsampling=upsampling)
    network = network.double()
    for parameter in network.parameters():
        nn.init.normal_(parameter)
    radius = network.receptive_radius
    centre = radius + 3
    lr = torch.rand(1, 3, 2 * centre + 1, 2 * centre + 1, dtype=torch.double, requires_grad=True)
    pixel = slice(centre * scale, (centre + 1) * scale)
    network(lr)[..., pixel, pixel].sum().backward()
    assert lr.grad is not None
    touched = lr.grad.abs().sum(dim=(0, 1, 2)).nonzero()
    assert (touched - centre).abs().max() == radius


def test_in_eval_mode_a_batch_gives_what_single_images_give() -> None:
    torch.manual_seed(0)
    network = SRResNet(blocks=2, features=8)
    network(torch.rand(4, 3, 8, 8))
    network.eval()
    lr = torch.rand(3, 3, 8, 8)
    single = torch.cat([network(image[None]) for image in lr])
    torch.testing.assert_close(network(lr), single, rtol=0, atol=1e-6)
