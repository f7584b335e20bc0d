"""Every method's scores for an image, and their means."""

import math

import pytest
import torch
from torchvision.models import vgg16

from pipeline.evaluation import measurement
from pipeline.evaluation.measurement import METRICS, PSNR_CEILING, mean_scores, measure_image
from pipeline.evaluation.perceptual import PerceptualMetrics
from pipeline.metrics import MS_SSIM_SIDE, luma, ms_ssim, psnr, ssim
from pipeline.networks.perceptual.dists import Dists

CPU = torch.device("cpu")
NONE_LOADED = PerceptualMetrics()


def image(seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randint(0, 256, (3, 8, 8), generator=generator, dtype=torch.uint8)
    return coarse.repeat_interleave(6, 1).repeat_interleave(6, 2)


def test_scores_are_those_of_the_metrics():
    original, result = image(), image().roll(1, dims=2)
    scores = measure_image(
        {"a": result, "b": original.roll(2, dims=1)}, original, 4, NONE_LOADED, CPU
    ).scores
    sr, hr = result[None].float(), original[None].float()
    expected = {
        "psnr_y": psnr(luma(sr), luma(hr), 4).item(),
        "ssim_y": ssim(luma(sr), luma(hr), 4).item(),
        "psnr_rgb": psnr(sr, hr, 4).item(),
        "ssim_rgb": ssim(sr, hr, 4).item(),
    }
    assert list(scores) == ["a", "b"]
    assert scores["a"] == pytest.approx(expected, abs=1e-4)
    assert scores["a"] != scores["b"]


def test_ms_ssim_is_measured_where_the_image_is_large_enough():
    large = torch.cat([image(seed).repeat(1, 4, 4) for seed in range(1)], 1)[:, :177, :177]
    smaller = large[:, : MS_SSIM_SIDE + 7]
    scores = measure_image({"a": large.roll(1, dims=2)}, large, 4, NONE_LOADED, CPU).scores["a"]
    expected = ms_ssim(luma(large.roll(1, dims=2)[None].float()), luma(large[None].float()), 4)
    assert scores["ms_ssim_y"] == pytest.approx(expected.item(), abs=1e-5)
    assert (
        "ms_ssim_y" not in measure_image({"a": smaller}, smaller, 4, NONE_LOADED, CPU).scores["a"]
    )


def test_results_of_a_large_image_are_measured_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    results = {"a": image().roll(1, dims=2), "b": image().roll(2, dims=1)}
    expected = measure_image(results, image(), 4, NONE_LOADED, CPU).scores
    counts = []

    def counted(sr: torch.Tensor, hr: torch.Tensor, border: int) -> torch.Tensor:
        counts.append(len(sr))
        return ssim(sr, hr, border)

    monkeypatch.setattr(measurement, "ssim", counted)
    monkeypatch.setattr(measurement, "PIXELS_OF_ALL_METHODS", image()[0].numel() - 1)
    scores = measure_image(results, image(), 4, NONE_LOADED, CPU).scores
    assert counts == [1, 1, 1, 1]
    for method, values in expected.items():
        assert scores[method] == pytest.approx(values, abs=2e-5)


@pytest.mark.slow
def test_dists_and_descriptors_are_of_vgg16():
    torch.manual_seed(0)
    backbone = {f"features.{key}": value for key, value in vgg16().features.state_dict().items()}
    perceptual = PerceptualMetrics(dists=Dists(backbone))
    original, result = image(), image().roll(1, dims=2)
    measurement = measure_image({"a": result, "same": original}, original, 4, perceptual, CPU)
    expected = perceptual.dists(result[None].float(), original[None].float())
    assert measurement.scores["a"]["dists"] == pytest.approx(expected.item(), abs=2e-5)
    assert measurement.scores["same"]["dists"] == pytest.approx(0, abs=1e-5)
    assert list(measurement.descriptors) == ["original", "a", "same"]
    assert measurement.descriptors["a"].shape == (4, 512)
    torch.testing.assert_close(measurement.descriptors["same"], measurement.descriptors["original"])


def test_equal_images_stay_finite():
    scores = measure_image({"same": image()}, image(), 4, NONE_LOADED, CPU).scores["same"]
    assert scores == {
        "psnr_y": PSNR_CEILING,
        "ssim_y": pytest.approx(1),
        "psnr_rgb": PSNR_CEILING,
        "ssim_rgb": pytest.approx(1),
    }
    assert mean_scores([{"same": scores}], {"same": {"swd": 0.0}})["same"]["rmse_y"] == 0


def test_means():
    # 20 dB and 40 dB: errors of 25.5 and 2.55 levels.
    images = [{"a": {"psnr_y": 20.0, "lpips": 0.2}}, {"a": {"psnr_y": 40.0, "lpips": 0.4}}]
    means = mean_scores(images, {"a": {"swd": 0.25, "swd_32": 0.4, "kvd": 0.5}})
    assert means == {
        "a": {
            "psnr_y": 30.0,
            "lpips": 0.3,
            "rmse_y": pytest.approx(math.sqrt((25.5**2 + 2.55**2) / 2), abs=1e-5),
            "swd": 0.25,
            "swd_32": 0.4,
            "kvd": 0.5,
        }
    }


def test_the_best_and_the_better():
    by_key = {metric.key: metric for metric in METRICS}
    assert by_key["psnr_y"].best([25.001, 25.004, 24.0]) == 25.0
    assert by_key["lpips"].best([0.3, 0.1]) == 0.1
    assert by_key["psnr_y"].gain(26.0, 25.0) == 1.0
    assert by_key["lpips"].gain(0.3, 0.1) == pytest.approx(-0.2)
