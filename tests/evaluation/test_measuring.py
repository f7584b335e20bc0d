"""Every method's figures for an image, and their means."""

import math

import pytest
import torch
from torch import nn

from pipeline.errors import PipelineError
from pipeline.evaluation.baselines import FILTERS
from pipeline.evaluation.measuring import METRICS, PSNR_CEILING, Methods, means, measure
from pipeline.evaluation.swd import Distance
from pipeline.metrics import luma, psnr, ssim
from pipeline.networks import Generator

CPU = torch.device("cpu")


class Constant(Generator):
    """A generator that paints one value, in [0, 1]."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        return self.value.expand(1, 3, lr.shape[-2] * 4, lr.shape[-1] * 4)

    @property
    def receptive_radius(self) -> int:
        return 0

    @property
    def last_layer(self) -> nn.Conv2d:
        raise NotImplementedError


def image(seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randint(0, 256, (3, 8, 8), generator=generator, dtype=torch.uint8)
    return coarse.repeat_interleave(6, 1).repeat_interleave(6, 2)


def test_methods_are_interpolation_and_the_models():
    methods = Methods({"model": Constant(0.5), "other": Constant(0.7)}, 4)
    lr = methods.lr(image())
    results = methods.results(lr)
    assert lr.shape == (3, 12, 12)
    assert tuple(results) == methods.names == (*FILTERS, "model", "other")
    assert all(result.shape == (3, 48, 48) for result in results.values())
    assert all(result.dtype == torch.uint8 for result in results.values())


@pytest.mark.parametrize(
    ("value", "level"), [(0.5, 128), (-0.2, 0), (1.3, 255), (100.4 / 255, 100), (100.6 / 255, 101)]
)
def test_a_models_result_is_rounded_and_clamped(value, level):
    methods = Methods({"model": Constant(value)}, 4)
    assert methods.results(methods.lr(image()))["model"].unique().tolist() == [level]


def test_a_result_that_is_not_finite_is_an_error():
    methods = Methods({"model": Constant(math.nan)}, 4)
    with pytest.raises(PipelineError, match="model: the generator's result is not finite"):
        methods.results(methods.lr(image()))


def test_figures_are_those_of_the_metrics():
    original, result = image(), image().roll(1, dims=2)
    found = measure({"a": result, "b": original.roll(2, dims=1)}, original, 4, None, CPU)
    sr, hr = result[None].float(), original[None].float()
    expected = {
        "psnr_y": psnr(luma(sr), luma(hr), 4).item(),
        "ssim_y": ssim(luma(sr), luma(hr), 4).item(),
        "psnr_rgb": psnr(sr, hr, 4).item(),
        "ssim_rgb": ssim(sr, hr, 4).item(),
    }
    assert list(found) == ["a", "b"]
    assert found["a"] == pytest.approx(expected, abs=1e-4)
    assert found["a"] != found["b"]


def test_equal_images_stay_finite():
    found = measure({"same": image()}, image(), 4, None, CPU)["same"]
    assert found == {
        "psnr_y": PSNR_CEILING,
        "ssim_y": pytest.approx(1),
        "psnr_rgb": PSNR_CEILING,
        "ssim_rgb": pytest.approx(1),
    }
    assert means([{"same": found}], {"same": Distance(0.0, {48: 0.0})})["same"]["rmse_y"] == 0


def test_means():
    # 20 dB and 40 dB: errors of 25.5 and 2.55 levels.
    images = [{"a": {"psnr_y": 20.0, "lpips": 0.2}}, {"a": {"psnr_y": 40.0, "lpips": 0.4}}]
    found = means(images, {"a": Distance(0.25, {32: 0.4, 16: 0.1})})
    assert found == {
        "a": {
            "psnr_y": 30.0,
            "lpips": 0.3,
            "rmse_y": pytest.approx(math.sqrt((25.5**2 + 2.55**2) / 2), abs=1e-5),
            "swd": 0.25,
            "swd_32": 0.4,
            "swd_16": 0.1,
        }
    }


def test_the_best_and_the_better():
    by_key = {metric.key: metric for metric in METRICS}
    assert by_key["psnr_y"].best([25.001, 25.004, 24.0]) == 25.0
    assert by_key["lpips"].best([0.3, 0.1]) == 0.1
    assert by_key["psnr_y"].gain(26.0, 25.0) == 1.0
    assert by_key["lpips"].gain(0.3, 0.1) == pytest.approx(-0.2)
