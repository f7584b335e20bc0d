"""Interpolation between the weights of two generators."""

import pytest
import torch

from pipeline.errors import PipelineError
from pipeline.networks import SRResNet
from pipeline.networks.blending import blend_generators


def generator(seed: int, features: int = 8, norm: str = "none") -> SRResNet:
    torch.manual_seed(seed)
    return SRResNet(scale=4, blocks=1, features=features, norm=norm, skip="bicubic")


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_every_weight_lies_between(norm):
    a, b = generator(0, norm=norm), generator(1, norm=norm)
    blended = blend_generators(a, b, 0.25).state_dict()
    for name, value in a.state_dict().items():
        other = b.state_dict()[name]
        expected = value + 0.25 * (other - value) if value.is_floating_point() else value
        torch.testing.assert_close(blended[name], expected)


def test_the_ends_are_the_generators_and_neither_is_changed():
    a, b = generator(0), generator(1)
    lr = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    before = a(lr), b(lr)
    torch.testing.assert_close(blend_generators(a, b, 0.0)(lr), before[0])
    torch.testing.assert_close(blend_generators(a, b, 1.0)(lr), before[1])
    assert torch.equal(a(lr), before[0])
    assert torch.equal(b(lr), before[1])


def test_two_architectures_have_nothing_between_them():
    with pytest.raises(PipelineError, match=r"features 8.* and srresnet .*features 16"):
        blend_generators(generator(0), generator(1, features=16), 0.5)
