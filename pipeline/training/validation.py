"""Validation of the generator on images that it is not trained on."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.images.degradation import Degradation, make_lr
from pipeline.images.interpolation import baseline_of, interpolate
from pipeline.metrics import psnr_of_luma, ssim_of_luma
from pipeline.networks import Generator
from pipeline.networks.perceptual.lpips import Lpips
from pipeline.networks.perceptual.weights import sha256_of_named_tensors
from pipeline.networks.tiles import enlarge
from pipeline.params.degradation import ChainStrengths

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

        Each of `images` is read when it is used, and not kept.
        """
        hr = _CutImages(images, scale)
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
        values = []
        for lr, hr in zip(self.lr, self.hr, strict=True):
            scale = hr.shape[-1] // lr.shape[-1]
            sr = interpolate(lr, scale, baseline_of(scale))
            values.append(psnr_of_luma(sr, hr, CROP_BORDER))
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
            sr = enlarge(generator, lr, bounded=True)
            figures["psnr_y"].append(psnr_of_luma(sr, hr, CROP_BORDER))
            figures["ssim_y"].append(ssim_of_luma(sr, hr, CROP_BORDER))
            if self.lpips is not None:
                figures["lpips"].append(self._lpips_distance(sr, hr))
            if len(crops) < SAMPLES:
                crops.append(_centre_crop(sr, self._sample_side))
        means = {name: sum(values) / len(values) for name, values in figures.items()}
        return means, torch.cat(crops, dim=2)

    @cached_property
    def _sample_side(self) -> int:
        return min(SAMPLE_SIDE, *(side for hr in self.hr[:SAMPLES] for side in hr.shape[-2:]))

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


class _CutImages(Sequence[Tensor]):
    """Images `(H, W, 3) uint8` as tensors whose sides are multiples of a scale, `(3, H, W)`."""

    def __init__(self, images: Sequence[NDArray[np.uint8]], scale: int) -> None:
        self._images, self._scale = images, scale

    def __len__(self) -> int:
        return len(self._images)

    @overload
    def __getitem__(self, index: int) -> Tensor: ...
    @overload
    def __getitem__(self, index: slice) -> list[Tensor]: ...
    def __getitem__(self, index: int | slice) -> Tensor | list[Tensor]:
        if isinstance(index, slice):
            return [self[one] for one in range(len(self))[index]]
        return _cut_to_multiples(self._images[index], self._scale)


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
