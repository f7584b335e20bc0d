"""Our DISTS against the official package, both on the same backbone."""

from collections.abc import Mapping

import pytest
import torch
from DISTS_pytorch import DISTS
from torch import Tensor
from torch.nn import functional as F
from torchvision.models import vgg16

from pipeline.networks.perceptual.dists import SMALLEST_SIDE, Dists


@pytest.fixture(scope="module")
def backbone() -> dict[str, Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        features = vgg16(weights=None).features
    return {f"features.{key}": value for key, value in features.state_dict().items()}


@pytest.fixture(scope="module")
def network(backbone: Mapping[str, Tensor]) -> Dists:
    return Dists(backbone)


@pytest.fixture(scope="module")
def images() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    a = torch.rand(2, 3, 12, 14, generator=generator)
    a = F.interpolate(a, size=(96, 112), mode="bicubic").clamp(0, 1) * 255
    return a, F.avg_pool2d(a, 5, 1, 2)


@pytest.mark.filterwarnings("ignore::UserWarning:torchvision")
def test_agrees_with_the_official_package(
    monkeypatch: pytest.MonkeyPatch,
    backbone: dict[str, Tensor],
    network: Dists,
    images: tuple[Tensor, Tensor],
) -> None:
    a, b = images
    # Its constructor would download the backbone, whose weights are replaced below.
    monkeypatch.setattr("DISTS_pytorch.DISTS_pt.models.vgg16", lambda pretrained: vgg16())
    official = DISTS()
    convolutions = {
        name: module
        for stage in official.children()
        for name, module in stage.named_children()
        if isinstance(module, torch.nn.Conv2d)
    }
    for index, convolution in convolutions.items():
        for part in ("weight", "bias"):
            getattr(convolution, part).data.copy_(backbone[f"features.{index}.{part}"])
    expected = official(a / 255, b / 255)
    assert expected.min() > 1e-3
    torch.testing.assert_close(network(a, b), expected, atol=1e-5, rtol=1e-4)


def test_equal_images_are_at_zero_and_blur_is_not(
    network: Dists, images: tuple[Tensor, Tensor]
) -> None:
    a, b = images
    assert network(a, a).abs().max() < 1e-5
    assert (network(b, a) > 1e-3).all()


def test_one_original_serves_many_results(network: Dists, images: tuple[Tensor, Tensor]) -> None:
    a, b = images
    torch.testing.assert_close(network(b, a[:1]), network(b, a[:1].expand_as(b)))


def test_the_smallest_side_is_enough(network: Dists) -> None:
    image = torch.rand(1, 3, SMALLEST_SIDE, SMALLEST_SIDE) * 255
    assert network.features(image)[-1].shape == (1, 512, 1, 1)


def test_an_incomplete_backbone_is_refused(backbone: dict[str, Tensor]) -> None:
    without = {key: value for key, value in backbone.items() if key != "features.28.bias"}
    with pytest.raises(KeyError, match=r"features\.28\.bias"):
        Dists(without)
