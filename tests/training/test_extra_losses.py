"""Further terms of the generator's loss."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.networks.perceptual.dists import Dists
from pipeline.networks.perceptual.lpips import Lpips
from pipeline.networks.perceptual.weights import backbone_state
from pipeline.params.train import ExtraLoss
from pipeline.training.extra_losses import (
    ExtraLosses,
    LossImages,
    artifact_loss,
    colour_loss,
    gradient_loss,
)

GENERATOR = torch.Generator().manual_seed(0)
HR = F.interpolate(torch.rand(2, 3, 24, 24, generator=GENERATOR), size=(176, 176), mode="bicubic")
SR = (HR + 0.05 * torch.randn(HR.shape, generator=GENERATOR)).clamp(0, 1)
NETWORKS = {
    "lpips": Lpips(backbone_state("alexnet", "random")),
    "dists": Dists(backbone_state("vgg16", "random")),
}
NAMES: tuple[ExtraLoss, ...] = (
    "ssim",
    "ms_ssim",
    "gradient",
    "colour",
    "artifacts",
    "lpips",
    "dists",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_loss_is_zero_for_equal_images_and_its_gradient_leads_there(name: ExtraLoss) -> None:
    losses = ExtraLosses({name: 1.0}, NETWORKS)
    (equal,) = losses(LossImages(HR, HR, HR)).values()
    assert equal.item() == pytest.approx(0, abs=1e-4)
    sr = SR.clone().requires_grad_()
    (loss,) = losses(LossImages(sr, HR, SR)).values()
    assert loss > 10 * abs(equal)
    loss.backward()
    assert sr.grad is not None
    with torch.no_grad():
        nearer = SR - 1e-3 * sr.grad / sr.grad.abs().max()
        (less,) = losses(LossImages(nearer, HR, SR)).values()
    assert less < loss


@pytest.mark.parametrize("name", NAMES)
def test_gradients_of_flat_and_black_images_are_finite(name: ExtraLoss) -> None:
    for hr, sr in ((0.0, 0.0), (0.5, 0.5), (0.0, 0.5)):
        result = torch.full((1, 3, 176, 176), sr, requires_grad=True)
        images = LossImages(result, torch.full_like(result, hr), torch.full_like(result, sr))
        (loss,) = ExtraLosses({name: 1.0}, NETWORKS)(images).values()
        loss.backward()
        assert result.grad is not None
        assert result.grad.isfinite().all()


def test_gradients_of_edges_are_compared_in_strength() -> None:
    hr = torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(1, 3, 4, 4)
    assert gradient_loss(1 - hr, hr) == 0
    assert gradient_loss(hr / 2, hr).item() == pytest.approx(0.5 / 3)
    assert gradient_loss((hr / 2).mT, hr.mT).item() == pytest.approx(0.5 / 3)


@pytest.mark.parametrize("side", [16, 20, 21, 64])
def test_colour_sees_levels_and_no_texture(side: int) -> None:
    hr = torch.full((1, 3, side, side), 0.5)
    assert colour_loss(hr + 0.1, hr).item() == pytest.approx(0.01, rel=1e-4)
    checks = torch.arange(side)[:, None] + torch.arange(side)
    assert colour_loss(hr + 0.1 * (checks % 2 * 2 - 1), hr) < 1e-4


def test_colour_blurs_as_scipy_does() -> None:
    from scipy.ndimage import gaussian_filter

    blurred = gaussian_filter((SR - HR).double().numpy(), (0, 0, 3, 3), radius=(0, 0, 10, 10))
    expected = (blurred[..., 10:-10, 10:-10] ** 2).mean()
    assert colour_loss(SR, HR).item() == pytest.approx(expected, rel=1e-4)


def test_artifacts_are_weighted_by_the_variance_of_errors() -> None:
    hr = torch.zeros(1, 3, 32, 32)
    sr = 0.1 * torch.rand(1, 3, 32, 32, generator=GENERATOR)
    far = torch.ones_like(hr)

    def expected(average: Tensor) -> float:
        error, average_error = sr.sum(1)[0], (average - hr).abs().sum(1)[0]
        whole = error.var().item() ** 0.2
        padded = F.pad(error[None, None], [3] * 4, mode="reflect")[0, 0]
        total = 0.0
        for y in range(32):
            for x in range(32):
                if error[y, x] >= average_error[y, x]:
                    window = padded[y : y + 7, x : x + 7]
                    variance = window.var(correction=0).item()
                    total += variance * whole * sr[0, :, y, x].sum().item()
        return total / sr.numel()

    assert artifact_loss(sr, hr, hr).item() == pytest.approx(expected(hr), rel=1e-3)
    assert artifact_loss(sr, hr, 0.5 * sr.flip(3)).item() == pytest.approx(
        expected(0.5 * sr.flip(3)), rel=1e-3
    )
    assert artifact_loss(sr, hr, far) == 0
    assert math.isfinite(artifact_loss(hr, hr, hr))
