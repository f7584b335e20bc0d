import math

import pytest
import torch

from pipeline.training.losses import (
    adversarial_loss,
    content_loss,
    discriminator_loss,
    pixel_loss,
)


def test_pixel_losses() -> None:
    sr, hr = torch.tensor([[[[0.0, 0.5]]]]), torch.tensor([[[[0.2, 0.9]]]])
    assert pixel_loss("mse", sr, hr).item() == pytest.approx((0.04 + 0.16) / 2)
    assert pixel_loss("l1", sr, hr).item() == pytest.approx((0.2 + 0.4) / 2)


def test_psnr_is_the_mean_over_images_and_finite_without_error() -> None:
    hr = torch.full((3, 3, 4, 4), 0.5)
    sr = hr + torch.tensor([0.1, 0.01, 0.0]).view(3, 1, 1, 1)
    sr.requires_grad_()
    loss = pixel_loss("psnr", sr, hr)
    rounding = 10 * math.log10(255**2 * 12)
    assert loss.item() == pytest.approx(-(20 + 40 + rounding) / 3, abs=0.02)
    loss.backward()
    assert sr.grad is not None
    assert sr.grad.isfinite().all()
    large, small = sr.grad[0].norm(), sr.grad[1].norm()
    assert small / large == pytest.approx(10, rel=0.02)


def test_content_is_the_sum_of_the_layers_mean_squares() -> None:
    sr = [torch.zeros(2, 4, 3, 3), torch.zeros(2, 8, 1, 1, dtype=torch.bfloat16)]
    hr = [torch.full((2, 4, 3, 3), 3.0), torch.full((2, 8, 1, 1), 2.0, dtype=torch.bfloat16)]
    loss = content_loss(sr, hr)
    assert loss.item() == 9 + 4
    assert loss.dtype == torch.float32


def test_adversarial_losses_of_an_undecided_discriminator() -> None:
    undecided = torch.zeros(5, 1)
    assert adversarial_loss(None, undecided).item() == pytest.approx(math.log(2))
    assert discriminator_loss(undecided, undecided).item() == pytest.approx(2 * math.log(2))


def test_adversarial_losses_follow_the_equations() -> None:
    hr, sr = torch.tensor([[2.0], [1.0]]), torch.tensor([[-1.0], [0.5]])
    d_hr, d_sr = hr.sigmoid(), sr.sigmoid()
    assert adversarial_loss(None, sr).item() == pytest.approx(-d_sr.log().mean().item())
    expected = -d_hr.log().mean() - (1 - d_sr).log().mean()
    assert discriminator_loss(hr, sr).item() == pytest.approx(expected.item())


def test_relativistic_losses_follow_the_equations() -> None:
    hr, sr = torch.tensor([[2.0], [1.0]]), torch.tensor([[-1.0], [0.5]])
    d_hr, d_sr = (hr - sr.mean()).sigmoid(), (sr - hr.mean()).sigmoid()
    expected = -d_hr.log().mean() - (1 - d_sr).log().mean()
    assert discriminator_loss(hr, sr, torch.mean).item() == pytest.approx(expected.item())
    expected = -(1 - d_hr).log().mean() - d_sr.log().mean()
    assert adversarial_loss(hr, sr, torch.mean).item() == pytest.approx(expected.item())


def test_sure_logits_stay_finite_in_half_precision() -> None:
    sure = torch.full((1, 1), 1e4, dtype=torch.bfloat16)
    assert adversarial_loss(None, -sure).item() == pytest.approx(1e4, rel=0.01)
    assert discriminator_loss(-sure, sure).item() == pytest.approx(2e4, rel=0.01)
