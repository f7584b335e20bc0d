"""Full-reference metrics of each method's result for one image, and their means over images."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor

from pipeline.evaluation.kvd import descriptors
from pipeline.evaluation.methods import ORIGINAL
from pipeline.evaluation.perceptual import PerceptualMetrics
from pipeline.metrics import MS_SSIM_SIDE, PEAK, PSNR_CEILING, luma, ms_ssim, psnr, ssim
from pipeline.networks.perceptual.dists import Dists
from pipeline.networks.perceptual.lpips import Lpips

PIXELS_OF_ALL_METHODS = 2**20
"""Pixels of an image up to which all methods' results are measured at once, not one by one."""
DECIMALS = 5
"""Decimals that are written; later ones differ between machines."""


Scores = Mapping[str, Mapping[str, float]]
"""method → metric's key → value"""


@dataclass(frozen=True)
class Metric:
    """A metric: its key in files, its name and precision in reports, and its direction."""

    key: str
    name: str
    decimals: int
    higher_is_better: bool
    per_image: bool = True
    """whether each image has a value; else it is of a whole set"""

    def format(self, value: float) -> str:
        """Return the value as tables show it."""
        return f"{value:.{self.decimals}f}"

    def format_difference(self, value: float) -> str:
        """Return the difference of two values as tables show it, with its sign."""
        return f"{value:+.{self.decimals}f}"

    def gain(self, value: float, baseline: float) -> float:
        """Return how much better `value` is than `baseline`; negative if it is worse."""
        return value - baseline if self.higher_is_better else baseline - value

    def best(self, values: Iterable[float]) -> float:
        """Return the best of the rounded values, so that values shown alike are all best."""
        rounded = [round(value, self.decimals) for value in values]
        return max(rounded) if self.higher_is_better else min(rounded)


METRICS = (
    Metric("psnr_y", "PSNR Y", 2, True),
    Metric("ssim_y", "SSIM Y", 4, True),
    Metric("ms_ssim_y", "MS-SSIM Y", 4, True),
    Metric("psnr_rgb", "PSNR RGB", 2, True),
    Metric("ssim_rgb", "SSIM RGB", 4, True),
    Metric("rmse_y", "RMSE Y", 2, False, per_image=False),
    Metric("lpips", "LPIPS", 4, False),
    Metric("dists", "DISTS", 4, False),
    Metric("swd", "SWD", 4, False, per_image=False),
    Metric("kvd", "KVD", 5, False, per_image=False),
)
METRIC_BY_KEY = {metric.key: metric for metric in METRICS}
IMAGE_METRICS = tuple(metric.key for metric in METRICS if metric.per_image)
"""Keys of the metrics that each image has."""


@dataclass(frozen=True)
class ImageMeasurement:
    """The metrics of one image's results, and VGG16 descriptors of them and of the image."""

    scores: dict[str, dict[str, float]]
    """method → key of `IMAGE_METRICS` → value"""
    descriptors: dict[str, Tensor]
    """method, and `original` → (P, C); empty without VGG16"""


def has_ms_ssim(side: int, border: int) -> bool:
    """Return whether an image is large enough for MS-SSIM, by its shorter side."""
    return side - 2 * border >= MS_SSIM_SIDE


@torch.no_grad()
def measure_image(
    results: Mapping[str, Tensor],
    original: Tensor,
    border: int,
    perceptual: PerceptualMetrics,
    device: torch.device,
    smallest_side: int | None = None,
) -> ImageMeasurement:
    """Compare each method's result with the original, (3, H, W) uint8 each.

    PSNR and SSIM leave out `border` pixels at each edge; LPIPS and DISTS take the whole image.
    MS-SSIM is left out if the smallest of all images is too small for it, by its shorter side;
    None: this is the smallest.
    """
    if smallest_side is None:
        smallest_side = min(original.shape[-2:])
    sr = torch.stack(list(results.values()))
    hr = original[None].to(device, torch.float32)
    at_once = len(sr) if hr[0, 0].numel() <= PIXELS_OF_ALL_METHODS else 1
    parts = [
        _distances(part.to(device, torch.float32), hr, border, perceptual.lpips, smallest_side)
        for part in torch.split(sr, at_once)
    ]
    columns = {key: torch.cat([part[key] for part in parts]) for key in parts[0]}
    vgg_descriptors: list[Tensor] = []
    if perceptual.dists is not None:
        columns["dists"], vgg_descriptors = _dists_and_descriptors(perceptual.dists, sr, hr)
    values = {key: columns[key].tolist() for key in IMAGE_METRICS if key in columns}
    scores = {
        method: {key: round(column[index], DECIMALS) for key, column in values.items()}
        for index, method in enumerate(results)
    }
    # Without VGG16 there are no descriptors.
    named = dict(zip((ORIGINAL, *results), vgg_descriptors, strict=False))
    return ImageMeasurement(scores, named)


def _distances(
    sr: Tensor, hr: Tensor, border: int, lpips: Lpips | None, smallest_side: int
) -> dict[str, Tensor]:
    """Return metric → (N,) of results (N, 3, H, W) and the original (1, 3, H, W), but for DISTS."""
    target = hr.expand_as(sr)
    sr_y, hr_y = luma(sr), luma(hr).expand(len(sr), -1, -1, -1)
    columns = {
        "psnr_y": psnr(sr_y, hr_y, border).clamp(max=PSNR_CEILING),
        "ssim_y": ssim(sr_y, hr_y, border),
        "psnr_rgb": psnr(sr, target, border).clamp(max=PSNR_CEILING),
        "ssim_rgb": ssim(sr, target, border),
    }
    if has_ms_ssim(smallest_side, border):
        columns["ms_ssim_y"] = ms_ssim(sr_y, hr_y, border)
    if lpips is not None:
        columns["lpips"] = lpips(sr, hr)
    return columns


def mean_scores(image_scores: Sequence[Scores], set_scores: Scores) -> dict[str, dict[str, float]]:
    """Return method → metric → value over all images.

    PSNR, SSIM, LPIPS and DISTS are means of the images' values; RMSE is the root of the mean
    squared error of Y. `set_scores` are the metrics of a method's results as a set.
    """
    means: dict[str, dict[str, float]] = {}
    for method, distances in set_scores.items():
        rows = [scores[method] for scores in image_scores]
        values = {key: fmean(row[key] for row in rows) for key in rows[0]}
        values["rmse_y"] = math.sqrt(fmean(_squared_error(row["psnr_y"]) for row in rows))
        values |= distances
        means[method] = {key: round(value, DECIMALS) for key, value in values.items()}
    return means


def _dists_and_descriptors(dists: Dists, sr: Tensor, hr: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Return DISTS of each result (N,), and descriptors of the original and of each result."""
    hr_features = dists.features(hr)
    distances, vgg_descriptors = [], [descriptors(hr_features[-1])]
    # One at a time: VGG16's first maps of a 512 × 512 image alone are 67 MB.
    for image in torch.split(sr, 1):
        sr_features = dists.features(image.to(hr))
        distances.append(dists.distance(sr_features, hr_features))
        vgg_descriptors.append(descriptors(sr_features[-1]))
    return torch.cat(distances), vgg_descriptors


def _squared_error(psnr_y: float) -> float:
    """Return the mean squared error of a PSNR.

    Of the written, rounded PSNR, so that `per_image.csv` determines the means in `metrics.json`.
    """
    return 0.0 if psnr_y >= PSNR_CEILING else PEAK**2 / 10 ** (psnr_y / 10)
