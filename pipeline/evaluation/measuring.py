"""Each method's result for each image, and how far it lies from the original."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch

from pipeline.errors import PipelineError
from pipeline.evaluation.baselines import FILTERS, interpolate
from pipeline.evaluation.swd import Distance
from pipeline.images.resample import downscale
from pipeline.metrics import PEAK, luma, psnr, ssim
from pipeline.networks import Generator
from pipeline.networks.lpips import Lpips

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
    Metric("psnr_rgb", "PSNR RGB", 2, True),
    Metric("ssim_rgb", "SSIM RGB", 4, True),
    Metric("rmse_y", "RMSE Y", 2, False),
    Metric("lpips", "LPIPS", 4, False),
    Metric("swd", "SWD", 4, False),
)
BY_KEY = {metric.key: metric for metric in METRICS}
PER_IMAGE = ("psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb", "lpips")


@dataclass(frozen=True)
class Methods:
    """The ways an LR image is enlarged `scale` times: interpolation, and generators by name."""

    models: Mapping[str, Generator]
    scale: int

    @property
    def names(self) -> tuple[str, ...]:
        """Every method, in the order of the reports."""
        return (*FILTERS, *self.models)

    def lr(self, original: torch.Tensor) -> torch.Tensor:
        """The image that is enlarged, (3, H, W) → (3, H/scale, W/scale), uint8."""
        small: torch.Tensor = downscale(original[None], self.scale)[0]
        return small

    def results(self, lr: torch.Tensor) -> dict[str, torch.Tensor]:
        """Every method's result for one LR image: (3, h, w) → (3, h·scale, w·scale), uint8."""
        results = {method: interpolate(lr, self.scale, method) for method in FILTERS}
        for name, model in self.models.items():
            results[name] = self._generated(name, model, lr)
        return results

    def _generated(self, name: str, model: Generator, lr: torch.Tensor) -> torch.Tensor:
        try:
            return model.enlarge(lr[None])[0]
        except PipelineError as error:
            raise PipelineError(f"{name}: {error}; its weights are damaged") from None


@torch.no_grad()
def measure(
    results: Mapping[str, torch.Tensor],
    original: torch.Tensor,
    border: int,
    perceptual: Lpips | None,
    device: torch.device,
) -> dict[str, dict[str, float]]:
    """Method → metric of `PER_IMAGE` → value, of one image's results, (3, H, W) uint8 each.

    `border` pixels are left out by PSNR and SSIM; LPIPS sees the whole image.
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
    if perceptual is not None:
        columns["lpips"] = perceptual(sr, hr)
    values = {metric: column.tolist() for metric, column in columns.items()}
    return {
        method: {metric: round(column[index], DIGITS) for metric, column in values.items()}
        for index, method in enumerate(results)
    }


def means(
    images: Sequence[Figures], distances: Mapping[str, Distance]
) -> dict[str, dict[str, float]]:
    """Method → metric → value over all images.

    PSNR, SSIM and LPIPS are means of the images' values; RMSE is the root of the mean squared error
    of Y; SWD is of the whole sets, once as the mean over levels and once a level.
    """
    result: dict[str, dict[str, float]] = {}
    for method, distance in distances.items():
        rows = [image[method] for image in images]
        figures = {metric: _mean([row[metric] for row in rows]) for metric in rows[0]}
        figures["rmse_y"] = math.sqrt(_mean([_squared_error(row["psnr_y"]) for row in rows]))
        figures["swd"] = distance.mean
        figures |= {f"swd_{side}": value for side, value in distance.levels.items()}
        result[method] = {metric: round(value, DIGITS) for metric, value in figures.items()}
    return result


def _squared_error(psnr_y: float) -> float:
    return 0.0 if psnr_y >= PSNR_CEILING else PEAK**2 / 10 ** (psnr_y / 10)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
