"""Validation of the generator on images that it is not trained on."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.images.degradation import Degradation, make_lr
from pipeline.images.interpolation import baseline_of, interpolate
from pipeline.metrics import PSNR_CEILING, luma, psnr, ssim
from pipeline.networks import Generator
from pipeline.networks.perceptual.lpips import Lpips
from pipeline.networks.perceptual.weights import sha256_of_tensors

CROP_BORDER = 4
"""The default of `evaluate.crop_border`, pixels."""
SAMPLES = 4
SAMPLE_SIDE = 128


@dataclass(frozen=True)
class Validation:
    """Fixed validation images: of each `hr (3, H, W) uint8` and `lr (3, H/scale, W/scale) uint8`.

    Without `lpips`, LPIPS is not measured.
    """

    hr: Sequence[Tensor]
    lr: Sequence[Tensor]
    lpips: Lpips | None

    @staticmethod
    def from_images(
        images: Iterable[NDArray[np.uint8]],
        scale: int,
        lpips: Lpips | None = None,
        degradation: Degradation = "none",
        given_lr: Sequence[NDArray[np.uint8]] | None = None,
    ) -> "Validation":
        """Cut the sides of each `(H, W, 3) uint8` to multiples of `scale`; make LR unless given."""
        hr = [_cut_to_multiples(image, scale) for image in images]
        if given_lr is not None:
            return Validation(hr, [_cut_to_multiples(image, 1) for image in given_lr], lpips)
        lr = [
            make_lr(image[None], scale, degradation, [(index,)])[0]
            for index, image in enumerate(hr)
        ]
        return Validation(hr, lr, lpips)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of all that a figure depends on except the generator."""
        tensors = {f"hr.{index}": image for index, image in enumerate(self.hr)}
        tensors |= {f"lr.{index}": image for index, image in enumerate(self.lr)}
        if self.lpips is not None:
            tensors |= self.lpips.state_dict()
        return sha256_of_tensors(tensors)

    @cached_property
    def baseline_psnr_y(self) -> float:
        """Mean PSNR (dB) of luma of bicubic interpolation, at scale 1 of LR as it is."""
        values = []
        for lr, hr in zip(self.lr, self.hr, strict=True):
            scale = hr.shape[-1] // lr.shape[-1]
            sr = interpolate(lr, scale, baseline_of(scale))
            pair = luma(sr[None].float()), luma(hr[None].float())
            values.append(_finite_psnr(*pair))
        return sum(values) / len(values)

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
            figures["psnr_y"].append(_finite_psnr(*pair))
            figures["ssim_y"].append(ssim(*pair, border=CROP_BORDER).item())
            if self.lpips is not None:
                figures["lpips"].append(self._lpips_distance(sr, hr[None]))
            if len(crops) < SAMPLES:
                crops.append(_centre_crop(sr[0], self._sample_side))
        means = {name: sum(values) / len(values) for name, values in figures.items()}
        return means, torch.cat(crops, dim=2)

    @property
    def _sample_side(self) -> int:
        return min(SAMPLE_SIDE, *(side for hr in self.hr[:SAMPLES] for side in hr.shape[-2:]))

    def _lpips_distance(self, sr: Tensor, hr: Tensor) -> float:
        assert self.lpips is not None
        device = self.lpips.get_buffer("shift").device
        distance: Tensor = self.lpips(sr.to(device).float(), hr.to(device).float())
        return distance.item()


def _finite_psnr(a: Tensor, b: Tensor) -> float:
    return psnr(a, b, border=CROP_BORDER).clamp(max=PSNR_CEILING).item()


def _cut_to_multiples(image: NDArray[np.uint8], scale: int) -> Tensor:
    height, width = (side // scale * scale for side in image.shape[:2])
    return torch.from_numpy(image[:height, :width]).permute(2, 0, 1).contiguous()


@contextmanager
def _in_eval_mode(network: nn.Module) -> Iterator[None]:
    was_training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(was_training)


def _centre_crop(image: Tensor, side: int) -> Tensor:
    height, width = image.shape[-2:]
    top, left = (height - side) // 2, (width - side) // 2
    return image[:, top : top + side, left : left + side]
