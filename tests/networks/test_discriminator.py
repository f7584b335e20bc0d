import pytest
import torch

from pipeline.networks.discriminator import Discriminator


def test_a_pooled_head_keeps_it_small() -> None:
    assert sum(parameter.numel() for parameter in Discriminator().parameters()) == 5_215_425


@pytest.mark.parametrize("side", [16, 96, 100])
def test_judges_crops_of_any_size(side: int) -> None:
    assert Discriminator()(torch.rand(2, 3, side, side)).shape == (2, 1)


def test_learns_to_tell_noise_from_flat_pictures() -> None:
    torch.manual_seed(0)
    network = Discriminator()
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-4)
    for _ in range(8):
        noise, flat = torch.rand(4, 3, 32, 32), torch.rand(4, 3, 1, 1).expand(-1, -1, 32, 32)
        loss = (network(flat) - network(noise)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    noise, flat = torch.rand(4, 3, 32, 32), torch.rand(4, 3, 1, 1).expand(-1, -1, 32, 32)
    assert network(noise).min() > network(flat).max()
