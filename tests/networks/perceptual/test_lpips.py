"""Our LPIPS against the official package, both on the same backbone."""

import os
from pathlib import Path

import lpips
import pytest
import torch
from torch.nn import functional as F
from torchvision.models import alexnet

from pipeline.networks.perceptual.lpips import SMALLEST_SIDE, Lpips
from pipeline.networks.perceptual.weights import FOLDER_VARIABLE, backbone_state


@pytest.fixture(scope="module")
def images() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    a = torch.rand(2, 3, 12, 14, generator=generator)
    a = F.interpolate(a, size=(96, 112), mode="bicubic").clamp(0, 1) * 255
    return a, F.avg_pool2d(a, 5, 1, 2)


def random_backbone() -> dict[str, torch.Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(11)
        features = alexnet(weights=None).features
    return {f"features.{key}": value for key, value in features.state_dict().items()}


def official(backbone: dict[str, torch.Tensor]) -> lpips.LPIPS:
    network = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
    convolutions = {
        name: module
        for part in network.net.children()
        for name, module in part.named_children()
        if isinstance(module, torch.nn.Conv2d)
    }
    for index, convolution in convolutions.items():
        for part in ("weight", "bias"):
            getattr(convolution, part).data.copy_(backbone[f"features.{index}.{part}"])
    return network


@pytest.mark.filterwarnings("ignore::UserWarning:torchvision")
def test_agrees_with_the_official_package(images):
    a, b = images
    backbone = random_backbone()
    with torch.no_grad():
        expected = official(backbone)(a / 127.5 - 1, b / 127.5 - 1).flatten()
        ours = Lpips(backbone)(a, b)
    assert expected.min() > 1e-6
    torch.testing.assert_close(ours, expected, atol=1e-7, rtol=1e-4)


@pytest.mark.skipif(
    not list(Path(os.environ.get("PIPELINE_TEST_WEIGHTS", os.devnull)).glob("alexnet*")),
    reason="PIPELINE_WEIGHTS names no folder with AlexNet's weights",
)
@pytest.mark.filterwarnings("ignore::UserWarning:torchvision")
def test_agrees_with_the_official_package_on_imagenet_weights(images, monkeypatch):
    a, b = images
    monkeypatch.setenv(FOLDER_VARIABLE, os.environ["PIPELINE_TEST_WEIGHTS"])
    backbone = backbone_state("alexnet", "imagenet")
    with torch.no_grad():
        expected = official(backbone)(a / 127.5 - 1, b / 127.5 - 1).flatten()
        ours = Lpips(backbone)(a, b)
    assert expected.min() > 0.005
    torch.testing.assert_close(ours, expected, atol=1e-6, rtol=1e-4)


def test_equal_images_are_at_zero_and_blur_is_not(images):
    a, b = images
    network = Lpips(random_backbone())
    assert network(a, a).tolist() == [0, 0]
    assert (network(b, a) > 0).all()


def test_one_original_serves_many_results(images):
    a, b = images
    network = Lpips(random_backbone())
    torch.testing.assert_close(network(b, a[:1]), network(b, a[:1].expand_as(b)))


def test_the_smallest_side_is_the_smallest():
    network = Lpips(random_backbone())
    image = torch.zeros(1, 3, SMALLEST_SIDE, SMALLEST_SIDE)
    assert network(image, image).tolist() == [0]
    with pytest.raises(RuntimeError):
        network(image[..., 1:], image[..., 1:])


def test_an_incomplete_backbone_is_refused():
    backbone = random_backbone()
    del backbone["features.8.bias"]
    with pytest.raises(KeyError, match=r"features\.8\.bias"):
        Lpips(backbone)
