"""Interpolation against Pillow itself and against values worked out by hand."""

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.images.interpolation import FILTERS, baseline_of, baselines_of, interpolate


@pytest.fixture
def lr() -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randint(0, 256, (3, 7, 9), generator=generator, dtype=torch.uint8)


def test_methods_are_the_ones_of_the_reports():
    assert list(FILTERS) == ["nearest", "bilinear", "bicubic", "lanczos"]


def test_nearest_repeats_pixels(lr):
    expected = lr.repeat_interleave(4, dim=1).repeat_interleave(4, dim=2)
    assert torch.equal(interpolate(lr, 4, "nearest"), expected)


def test_bilinear_of_a_step():
    lr = torch.tensor([0, 80], dtype=torch.uint8).expand(3, 1, 2)
    row = interpolate(lr, 4, "bilinear")[0, 0].tolist()
    # Centres of the two pixels lie at 1.5 and 5.5: the weights between grow by 1/4, from 1/8.
    assert row == [0, 0, 10, 30, 50, 70, 80, 80]


@pytest.mark.parametrize("method", FILTERS)
def test_equals_pillow(lr, method):
    image = Image.fromarray(lr.permute(1, 2, 0).numpy().copy())
    expected = np.asarray(image.resize((18, 14), FILTERS[method]))
    result = interpolate(lr, 2, method)
    assert result.dtype == torch.uint8
    np.testing.assert_array_equal(result.permute(1, 2, 0).numpy(), expected)


@pytest.mark.parametrize("method", FILTERS)
def test_flat_colours_stay(method):
    lr = torch.tensor([255, 128, 0], dtype=torch.uint8).view(3, 1, 1).expand(3, 6, 6)
    assert torch.equal(interpolate(lr, 4, method), lr[:, :1, :1].expand(3, 24, 24))


def test_at_scale_1_the_input_stands_for_all_filters(lr):
    assert baselines_of(1) == (baseline_of(1),) == ("input",)
    assert torch.equal(interpolate(lr, 1, "input"), lr)
    assert baselines_of(3) == tuple(FILTERS)
    assert baseline_of(3) == "bicubic"
