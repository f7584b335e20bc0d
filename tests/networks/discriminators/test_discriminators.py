import pytest
import torch

from pipeline.networks.discriminators.srgan import SRGANDiscriminator
from pipeline.networks.discriminators.unet import UNetDiscriminator


@pytest.mark.parametrize(
    ("build", "count"), [(SRGANDiscriminator, 5_213_569), (UNetDiscriminator, 4_376_897)]
)
def test_a_head_that_pools_or_convolves_keeps_it_small(build, count: int) -> None:
    assert sum(parameter.numel() for parameter in build().parameters()) == count


@pytest.mark.parametrize("side", [16, 96, 100])
def test_judges_crops_of_any_size(side: int) -> None:
    crops = torch.rand(2, 3, side, side)
    assert SRGANDiscriminator()(crops).shape == (2, 1)
    assert UNetDiscriminator()(crops).shape == (2, 1, side, side)


def test_spectral_norms_are_at_most_one() -> None:
    torch.manual_seed(0)
    network = UNetDiscriminator()
    for _ in range(30):
        network(torch.rand(1, 3, 16, 16))
    kernel = network.down[1].weight.flatten(1)
    assert torch.linalg.matrix_norm(kernel, 2).item() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(("build", "steps"), [(SRGANDiscriminator, 8), (UNetDiscriminator, 40)])
def test_learns_to_tell_noise_from_flat_pictures(build, steps: int) -> None:
    torch.manual_seed(0)
    network = build()
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-4)
    for _ in range(steps):
        noise, flat = torch.rand(4, 3, 32, 32), torch.rand(4, 3, 1, 1).expand(-1, -1, 32, 32)
        loss = network(flat).mean() - network(noise).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    noise, flat = torch.rand(4, 3, 32, 32), torch.rand(4, 3, 1, 1).expand(-1, -1, 32, 32)
    of_noise, of_flat = (network(images).flatten(1).mean(1) for images in (noise, flat))
    assert of_noise.min() > of_flat.max()
