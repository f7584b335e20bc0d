import pytest
import torch
from torch import Tensor, nn
from torchvision.models import VGG16_Weights, vgg16

from pipeline.networks.perceptual.vgg import VGG16Features

LAYERS = ("conv2_1", "conv3_1", "conv4_1")
# Where these convolutions stand in torchvision's `features`.
INDICES = (5, 10, 17)


@pytest.fixture(scope="module")
def reference() -> nn.Sequential:
    torch.manual_seed(0)
    features: nn.Sequential = vgg16(weights=None).features
    return features


@pytest.fixture(scope="module")
def state(reference: nn.Sequential) -> dict[str, Tensor]:
    return {f"features.{name}": value for name, value in reference.state_dict().items()}


def test_is_only_as_deep_as_its_deepest_layer(state: dict[str, Tensor]) -> None:
    def count(*layers: str) -> int:
        return sum(p.numel() for p in VGG16Features(layers, state).parameters())

    assert count(*LAYERS) == 2_915_648
    assert count("conv2_1") == 112_576


def test_features_are_torchvisions_before_relu(
    reference: nn.Sequential, state: dict[str, Tensor]
) -> None:
    images = torch.rand(2, 3, 32, 48)
    normalise = VGG16_Weights.IMAGENET1K_V1.transforms()
    x = (images - torch.tensor(normalise.mean).view(3, 1, 1)) / torch.tensor(normalise.std).view(
        3, 1, 1
    )
    expected = []
    for index, layer in enumerate(reference[: INDICES[-1] + 1]):
        x = layer(x.clone())
        if index in INDICES:
            expected.append(x.clone())
    features = VGG16Features(LAYERS, state)(images)
    for ours, theirs in zip(features, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
        assert ours.min() < 0


def test_layers_come_in_the_order_asked_for(state: dict[str, Tensor]) -> None:
    images = torch.rand(1, 3, 16, 16)
    deep, shallow = VGG16Features(("conv3_1", "conv1_2"), state)(images)
    assert (deep.shape, shallow.shape) == ((1, 256, 4, 4), (1, 64, 16, 16))


def test_is_frozen_but_lets_gradients_through(state: dict[str, Tensor]) -> None:
    network = VGG16Features(("conv2_1",), state)
    images = torch.rand(1, 3, 16, 16, requires_grad=True)
    network(images)[0].square().mean().backward()
    assert images.grad is not None
    assert images.grad.abs().max() > 0
    assert all(parameter.grad is None for parameter in network.parameters())
