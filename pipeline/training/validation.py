"""Validation of the generator on images that it is not trained on."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.images.degradation import Degradation, make_lr
from pipeline.metrics import luma, psnr, ssim
from pipeline.networks import Generator
from pipeline.networks.perceptual.lpips import Lpips
from pipeline.networks.perceptual.weights import sha256_of_tensors

CROP_BORDER = 4
"""The default of `evaluate.crop_border`, pixels."""
SAMPLES = 4
SAMPLE_SIDE = 128


@dataclass(frozen=True)
class Validation:
    """Fixed validation images: `hr (N, 3, H, W) uint8` and the `lr` made from them.

    Without `lpips`, LPIPS is not measured.
    """

    hr: Tensor
    lr: Tensor
    lpips: Lpips | None

    @staticmethod
    def from_images(
        images: np.ndarray,
        scale: int,
        lpips: Lpips | None = None,
        degradation: Degradation = "none",
    ) -> "Validation":
        """Make LR from `(N, H, W, 3) uint8`; sides are cut to a multiple of `scale`."""
        height, width = (side // scale * scale for side in images.shape[1:3])
        hr = torch.from_numpy(images[:, :height, :width]).permute(0, 3, 1, 2).contiguous()
        lr = make_lr(hr, scale, degradation, [(index,) for index in range(len(hr))])
        return Validation(hr, lr, lpips)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of all that a figure depends on except the generator."""
        tensors = {"hr": self.hr, "lr": self.lr}
        if self.lpips is not None:
            tensors |= self.lpips.state_dict()
        return sha256_of_tensors(tensors)

    @torch.no_grad()
    def __call__(self, generator: Generator) -> tuple[dict[str, float], Tensor]:
        """Return mean PSNR (dB) and SSIM of luma, mean LPIPS, and a strip of centre crops.

        The strip is `(3, side, n·side) uint8`. Raises `NotFiniteError`.
        """
        with _in_eval_mode(generator):
            return self._measure(generator)

    def _measure(self, generator: Generator) -> tuple[dict[str, float], Tensor]:
        figures: dict[str, list[float]] = defaultdict(list)
        crops: list[Tensor] = []
        for lr, hr in zip(self.lr, self.hr, strict=True):
            sr = generator.enlarge(lr[None])
            pair = luma(sr.float()), luma(hr[None].float())
            figures["psnr_y"].append(psnr(*pair, border=CROP_BORDER).item())
            figures["ssim_y"].append(ssim(*pair, border=CROP_BORDER).item())
            if self.lpips is not None:
                figures["lpips"].append(self._lpips_distance(sr, hr[None]))
            if len(crops) < SAMPLES:
                crops.append(_centre_crop(sr[0]))
        means = {name: sum(values) / len(values) for name, values in figures.items()}
        return means, torch.cat(crops, dim=2)

    def _lpips_distance(self, sr: Tensor, hr: Tensor) -> float:
        assert self.lpips is not None
        device = self.lpips.get_buffer("shift").device
        distance: Tensor = self.lpips(sr.to(device).float(), hr.to(device).float())
        return distance.item()


@contextmanager
def _in_eval_mode(network: nn.Module) -> Iterator[None]:
    was_training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(was_training)


def _centre_crop(image: Tensor) -> Tensor:
    height, width = image.shape[-2:]
    side = min(SAMPLE_SIDE, height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[:, top : top + side, left : left + side]
