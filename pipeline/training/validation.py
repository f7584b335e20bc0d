"""Validation of the generator on images that it is not trained on."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.images.degradation import make_lr
from pipeline.images.interpolation import baseline_of, interpolate
from pipeline.metrics import psnr_of_luma, ssim_of_luma
from pipeline.networks import Generator
from pipeline.networks.perceptual.lpips import Lpips
from pipeline.networks.perceptual.weights import sha256_of_named_tensors
from pipeline.networks.tiles import enlarge
from pipeline.params.degradation import ChainStrengths, Degradation
from pipeline.training.images_on_demand import ImagesOnDemand

CROP_BORDER = 4
"""The default of `evaluate.crop_border`, pixels."""
LARGEST_PART = 1024
"""HR pixels of a side, of what LPIPS is measured on at once."""
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
        images: Sequence[NDArray[np.uint8]],
        scale: int,
        lpips: Lpips | None = None,
        degradation: Degradation | ChainStrengths = "none",
        given_lr: Sequence[NDArray[np.uint8]] | None = None,
    ) -> "Validation":
        """Cut the sides of each `(H, W, 3) uint8` to multiples of `scale`; make LR unless given.

        Each of `images` and `given_lr` is read when it is used, and not kept. LR that is made is
        kept where it is small, and else made anew, the same each time.
        """
        hr = _cut_images(images, scale)
        if given_lr is not None:
            return Validation(hr, _cut_images(given_lr, 1), lpips)

        def make(index: int) -> Tensor:
            return make_lr(hr[index][None], scale, degradation, [(index,)])[0]

        return Validation(hr, ImagesOnDemand(len(hr), make), lpips)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of all that a figure depends on except the generator."""
        images = {
            f"{kind}.{index}": (images, index)
            for kind, images in (("hr", self.hr), ("lr", self.lr))
            for index in range(len(images))
        }
        weights: dict[str, Tensor] = {} if self.lpips is None else self.lpips.state_dict()

        def read(name: str) -> Tensor:
            if name in weights:
                return weights[name]
            of_kind, index = images[name]
            return of_kind[index]

        return sha256_of_named_tensors([*images, *weights], read)

    @cached_property
    def baseline_psnr_y(self) -> float:
        """Mean PSNR (dB) of luma of bicubic interpolation, at scale 1 of LR as it is."""
        values = [self._baseline_psnr_y(index) for index in range(len(self.hr))]
        return sum(values) / len(values)

    def _baseline_psnr_y(self, index: int) -> float:
        lr, hr = self.lr[index], self.hr[index]
        scale = hr.shape[-1] // lr.shape[-1]
        return psnr_of_luma(interpolate(lr, scale, baseline_of(scale)), hr, CROP_BORDER)

    @torch.no_grad()
    def __call__(self, generator: Generator) -> tuple[dict[str, float], Tensor]:
        """Return mean PSNR (dB) and SSIM of luma, mean LPIPS, and a strip of centre crops.

        The strip is `(3, side, n·side) uint8`. Raises `NotFiniteError`.
        """
        with _in_eval_mode(generator):
            return self._measure(generator)

    def _measure(self, generator: Generator) -> tuple[dict[str, float], Tensor]:
        figures: dict[str, list[float]] = defaultdict(list)
        samples: list[Tensor] = []
        for index in range(len(self.hr)):
            measured, sample = self._measure_image(generator, index)
            for name, value in measured.items():
                figures[name].append(value)
            if index < SAMPLES:
                samples.append(sample)
        means = {name: sum(values) / len(values) for name, values in figures.items()}
        return means, torch.cat(samples, dim=2)

    def _measure_image(self, generator: Generator, index: int) -> tuple[dict[str, float], Tensor]:
        """Return figures and a crop of one image, which is in memory no longer than that."""
        side = self._sample_side
        sr = enlarge(generator, self.lr[index], bounded=True)
        hr = self.hr[index]
        figures = {
            "psnr_y": psnr_of_luma(sr, hr, CROP_BORDER),
            "ssim_y": ssim_of_luma(sr, hr, CROP_BORDER),
        }
        if self.lpips is not None:
            figures["lpips"] = self._lpips_distance(sr, hr)
        # A copy: a view would keep all of the picture.
        return figures, _centre_crop(sr, side).clone()

    @cached_property
    def _sample_side(self) -> int:
        shapes = [self.hr[index].shape for index in range(min(SAMPLES, len(self.hr)))]
        return min(SAMPLE_SIDE, *(side for shape in shapes for side in shape[-2:]))

    def _lpips_distance(self, sr: Tensor, hr: Tensor) -> float:
        """Return LPIPS; of a large picture the mean over parts of it, weighted by their pixels."""
        assert self.lpips is not None
        device = self.lpips.get_buffer("shift").device
        total = 0.0
        for rows in _parts(hr.shape[-2]):
            for columns in _parts(hr.shape[-1]):
                part, target = (
                    image[None, :, rows, columns].to(device).float() for image in (sr, hr)
                )
                total += self.lpips(part, target).item() * part[0, 0].numel()
        return total / hr[0].numel()


def _cut_images(images: Sequence[NDArray[np.uint8]], scale: int) -> Sequence[Tensor]:
    """Return images `(H, W, 3) uint8` as `(3, H, W)` whose sides are multiples of `scale`."""
    return ImagesOnDemand(
        len(images), lambda index: _cut_to_multiples(images[index], scale), kept_bytes=0
    )


def _parts(side: int) -> list[slice]:
    """Return equal parts of a side, as few as are at most `LARGEST_PART` long."""
    count = -(-side // LARGEST_PART)
    bounds = [side * number // count for number in range(count + 1)]
    return [slice(first, last) for first, last in pairwise(bounds)]


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
