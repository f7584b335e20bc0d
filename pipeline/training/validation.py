"""Looking at the generator on pictures that it does not learn from."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipeline.images.resample import downscale
from pipeline.metrics import luma, psnr, ssim
from pipeline.networks import Generator

# As evaluation crops it, so that the two tell the same figures.
BORDER = 4
SAMPLES = 4
SAMPLE_SIDE = 128


@dataclass(frozen=True)
class Validation:
    """Fixed validation pictures: `hr (N, 3, H, W) uint8` and the `lr` made from them."""

    hr: Tensor
    lr: Tensor

    @staticmethod
    def of(images: np.ndarray, scale: int) -> "Validation":
        """From `(N, H, W, 3) uint8`; sides are cut to a multiple of `scale`."""
        height, width = (side // scale * scale for side in images.shape[1:3])
        hr = torch.from_numpy(images[:, :height, :width]).permute(0, 3, 1, 2).contiguous()
        return Validation(hr, downscale(hr, scale))

    @torch.no_grad()
    def __call__(self, generator: Generator) -> tuple[dict[str, float], Tensor]:
        """Mean PSNR (dB) and SSIM of luma, and a strip of details `(3, side, n·side) uint8`."""
        was_training = generator.training
        generator.eval()
        figures: dict[str, list[float]] = {"psnr_y": [], "ssim_y": []}
        details: list[Tensor] = []
        for lr, hr in zip(self.lr, self.hr, strict=True):
            sr = generator.enlarge(lr[None])
            pair = luma(sr.float()), luma(hr[None].float())
            figures["psnr_y"].append(psnr(*pair, border=BORDER).item())
            figures["ssim_y"].append(ssim(*pair, border=BORDER).item())
            if len(details) < SAMPLES:
                details.append(_centre(sr[0]))
        generator.train(was_training)
        means = {name: sum(values) / len(values) for name, values in figures.items()}
        return means, torch.cat(details, dim=2)


def _centre(picture: Tensor) -> Tensor:
    height, width = picture.shape[-2:]
    side = min(SAMPLE_SIDE, height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return picture[:, top : top + side, left : left + side]
