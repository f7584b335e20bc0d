"""The mean over turned and mirrored pictures."""

import torch

from pipeline.networks import SRResNet
from pipeline.networks.self_ensemble import self_ensemble
from tests.upscaling.small import bicubic, generator


def test_it_turns_and_mirrors_with_the_picture() -> None:
    lr = torch.rand(2, 3, 7, 10)
    with torch.no_grad():
        sr = self_ensemble(generator(), lr)
        turned = self_ensemble(generator(), lr.rot90(1, (2, 3)))
        mirrored = self_ensemble(generator(), lr.flip(2))
        assert (generator()(lr) - sr).abs().max() > 0.01
    torch.testing.assert_close(turned, sr.rot90(1, (2, 3)))
    torch.testing.assert_close(mirrored, sr.flip(2))


def test_what_turns_with_the_picture_already_stays() -> None:
    lr = torch.rand(1, 3, 6, 9)
    with torch.no_grad():
        torch.testing.assert_close(self_ensemble(bicubic(), lr), bicubic()(lr))


def test_each_view_counts_once() -> None:
    class Shifted(SRResNet):
        def forward(self, lr: torch.Tensor) -> torch.Tensor:
            sr = torch.zeros(*lr.shape[:2], lr.shape[2] * 4, lr.shape[3] * 4)
            sr[..., 0, 1] = 8
            return sr

    expected = torch.zeros(1, 3, 8, 8)
    for row, column in [(0, 1), (0, 6), (1, 0), (1, 7), (6, 0), (6, 7), (7, 1), (7, 6)]:
        expected[..., row, column] = 1
    assert torch.equal(self_ensemble(Shifted(blocks=1), torch.zeros(1, 3, 2, 2)), expected)
