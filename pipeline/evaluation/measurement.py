"""How far each method's result for an image lies from the original."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.evaluation.kvd import descriptors
from pipeline.evaluation.methods import ORIGINAL
from pipeline.evaluation.perceptual import Judges
from pipeline.metrics import MS_SSIM_SIDE, PEAK, luma, ms_ssim, psnr, ssim

PSNR_CEILING = 100.0
"""dB, what equal images count: their PSNR is infinite, and no mean could hold it. One level of one
sample of a 512 × 512 image is 102 dB."""
DIGITS = 5
"""Decimals that are written; later ones differ between machines."""


Figures = Mapping[str, Mapping[str, float]]
"""method → metric's key → value"""


@dataclass(frozen=True)
class Metric:
    """A measured figure: how it is called, shown and read."""

    key: str
    name: str
    digits: int
    higher_is_better: bool

    def text(self, value: float) -> str:
        """The value as tables show it."""
        return f"{value:.{self.digits}f}"

    def gain(self, value: float, over: float) -> float:
        """How much better `value` is than `over`; negative where it is worse."""
        return value - over if self.higher_is_better else over - value

    def best(self, values: Iterable[float]) -> float:
        """The best of the values as they are shown, so that equals are all best."""
        shown = [round(value, self.digits) for value in values]
        return max(shown) if self.higher_is_better else min(shown)


METRICS = (
    Metric("psnr_y", "PSNR Y", 2, True),
    Metric("ssim_y", "SSIM Y", 4, True),
    Metric("ms_ssim_y", "MS-SSIM Y", 4, True),
    Metric("psnr_rgb", "PSNR RGB", 2, True),
    Metric("ssim_rgb", "SSIM RGB", 4, True),
    Metric("rmse_y", "RMSE Y", 2, False),
    Metric("lpips", "LPIPS", 4, False),
    Metric("dists", "DISTS", 4, False),
    Metric("swd", "SWD", 4, False),
    Metric("kvd", "KVD", 5, False),
)
BY_KEY = {metric.key: metric for metric in METRICS}
PER_IMAGE = ("psnr_y", "ssim_y", "ms_ssim_y", "psnr_rgb", "ssim_rgb", "lpips", "dists")


@dataclass(frozen=True)
class Measured:
    """One image's figures, and what VGG16 says is in each version of it."""

    figures: dict[str, dict[str, float]]
    """method → metric of `PER_IMAGE` → value"""
    descriptors: dict[str, Tensor]
    """method, and `original` → (P, C); empty without VGG16"""


@torch.no_grad()
def measure(
    results: Mapping[str, Tensor],
    original: Tensor,
    border: int,
    judges: Judges,
    device: torch.device,
) -> Measured:
    """Compare an image's results with the original, (3, H, W) uint8 each.

    `border` pixels are left out by PSNR and SSIM; LPIPS and DISTS see the whole image. MS-SSIM is
    left out where the image is too small for it.
    """
    sr = torch.stack(list(results.values())).to(device, torch.float32)
    hr = original[None].to(device, torch.float32)
    target = hr.expand_as(sr)
    sr_y, hr_y = luma(sr), luma(hr).expand(len(sr), -1, -1, -1)
    columns = {
        "psnr_y": psnr(sr_y, hr_y, border).clamp(max=PSNR_CEILING),
        "ssim_y": ssim(sr_y, hr_y, border),
        "psnr_rgb": psnr(sr, target, border).clamp(max=PSNR_CEILING),
        "ssim_rgb": ssim(sr, target, border),
    }
    if min(original.shape[-2:]) - 2 * border >= MS_SSIM_SIDE:
        columns["ms_ssim_y"] = ms_ssim(sr_y, hr_y, border)
    if judges.lpips is not None:
        columns["lpips"] = judges.lpips(sr, hr)
    seen: list[Tensor] = []
    if judges.dists is not None:
        columns["dists"], seen = _looked_at(judges, sr, hr)
    values = {key: columns[key].tolist() for key in PER_IMAGE if key in columns}
    figures = {
        method: {metric: round(column[index], DIGITS) for metric, column in values.items()}
        for index, method in enumerate(results)
    }
    return Measured(figures, dict(zip((ORIGINAL, *results), seen, strict=False)))


def means(images: Sequence[Figures], of_sets: Figures) -> dict[str, dict[str, float]]:
    """Method → metric → value over all images.

    PSNR, SSIM, LPIPS and DISTS are means of the images' values; RMSE is the root of the mean
    squared error of Y; `of_sets` holds what was measured of a method's results as a whole.
    """
    result: dict[str, dict[str, float]] = {}
    for method, distances in of_sets.items():
        rows = [image[method] for image in images]
        figures = {metric: _mean([row[metric] for row in rows]) for metric in rows[0]}
        figures["rmse_y"] = math.sqrt(_mean([_squared_error(row["psnr_y"]) for row in rows]))
        figures |= distances
        result[method] = {metric: round(value, DIGITS) for metric, value in figures.items()}
    return result


def _looked_at(judges: Judges, sr: Tensor, hr: Tensor) -> tuple[Tensor, list[Tensor]]:
    """DISTS of each result, and descriptors of the original and of each result."""
    assert judges.dists is not None
    of_hr = judges.dists.features(hr)
    distances, seen = [], [descriptors(of_hr[-1])]
    # One at a time: VGG16's first maps of a 512 × 512 image alone are 67 MB.
    for image in torch.split(sr, 1):
        of_sr = judges.dists.features(image)
        distances.append(judges.dists.distance(of_sr, of_hr))
        seen.append(descriptors(of_sr[-1]))
    return torch.cat(distances), seen


def _squared_error(psnr_y: float) -> float:
    return 0.0 if psnr_y >= PSNR_CEILING else PEAK**2 / 10 ** (psnr_y / 10)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
